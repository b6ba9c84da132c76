"""Products in bfloat16, two to three times faster where the processor has fast instructions for them.

8 bits of each factor count; sums are kept in float32. Having the instructions is not enough: Intel's processors without
AMX take twice as long for such products as for those in float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch
from torch.nn.functional import linear

_FASTER = 1.2
"""Times that products in bfloat16 must be faster; processors are far from it on either side, so chance has no say."""

_wanted: ContextVar[torch.dtype] = ContextVar("precision of products", default=torch.float32)


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Within this block, what whet computes by hand in order to learn makes its products in `float32` or `bfloat16`.

    Where the processor is not faster with the latter, they are in float32.
    """
    low = precision == "bfloat16" and computes_in_bfloat16()
    token = _wanted.set(torch.bfloat16 if low else torch.float32)
    try:
        yield
    finally:
        _wanted.reset(token)


def wanted_precision() -> torch.dtype:
    """That of the block in which this is called. Keep it for the way back, which may come after the block."""
    return _wanted.get()


@cache
def computes_in_bfloat16() -> bool:
    """Whether this processor is faster with products in bfloat16; measured once in a process, in some milliseconds."""
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    there = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return bool(there) and _seconds(torch.float32) > _FASTER * _seconds(torch.bfloat16)


def _seconds(precision: torch.dtype) -> float:
    """The least that a product of some size takes."""
    x, matrix = (torch.ones(256, 256, dtype=precision) for _ in range(2))
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        return min(_timed(lambda: linear(x, matrix)) for _ in range(8))


def _timed(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def low_products() -> torch.autocast:
    """Within this block the processor makes all products of torch in bfloat16, if it is faster with them."""
    return torch.autocast("cpu", torch.bfloat16, enabled=computes_in_bfloat16())
