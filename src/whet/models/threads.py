"""Machine code of numba in as many threads as torch computes with."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from typing import Any

NUMBERS_A_THREAD = 2**16
"""For fewer a second thread costs more than it saves."""


@cache
def numba_is_there() -> bool:
    """Whether numba is installed."""
    return find_spec("numba") is not None


def in_threads(kernel: Callable[..., None], given: tuple[Any, ...], parts: Sequence[tuple[Any, ...]]) -> None:
    """Call a kernel that holds no lock with `given` and each of these parts, at once."""
    if len(parts) == 1:
        kernel(*given, *parts[0])
    else:
        list(_pool(len(parts), os.getpid()).map(lambda part: kernel(*given, *part), parts))


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - a forked process has none of the threads
    return ThreadPoolExecutor(threads, thread_name_prefix="whet")
