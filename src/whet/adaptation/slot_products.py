"""The compiled products of `whet.adaptation.compiled` for tensors, in as many threads as torch computes with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.adaptation import compiled
from whet.models.threads import in_threads

ROWS_A_THREAD = 256
"""For fewer a second thread costs more than it saves."""


class SlotProducts:
    """Products of slots' rows with their own matrices, float32 on a processor; `Routing` says what each computes.

    Args:
        rows: rows of each slot.
    """

    def __init__(self, rows: Sequence[int]) -> None:
        self._starts = np.array([0, *accumulate(rows)])

    def shrink(self, matrices: Tensor, x: Tensor) -> Tensor:
        """`(rows, r)`."""
        r = matrices.shape[1]
        inner, x = x.new_empty(len(x), r), x.contiguous()
        flat, stride = _flat(matrices)
        self._run(compiled.shrink, inner.numpy(), flat, stride, r, x.detach().numpy())
        return inner

    def expand(self, y: Tensor, inner: Tensor, matrices: Tensor, scale: float) -> Tensor:
        """`y (rows, n)`, overwritten."""
        flat, stride = _flat(matrices)
        r = matrices.shape[1]
        self._run(compiled.expand, y.detach().numpy(), inner.numpy(), flat, stride, r, np.float32(scale))
        return y

    def outer(self, into: Tensor, inner: Tensor, x: Tensor, scale: float) -> Tensor:
        """`into (slots, r, n)`, overwritten."""
        flat, stride = _flat(into)
        x = x.detach().contiguous()
        self._run(compiled.outer, flat, stride, into.shape[1], inner.numpy(), x.numpy(), np.float32(scale))
        return into

    def _run(self, kernel: Any, *arguments: Any) -> None:
        in_threads(kernel, [(*arguments, self._starts, first, last) for first, last in pairwise(self._shares)])

    @cached_property
    def _shares(self) -> list[int]:
        """Slots at which each thread begins, and the end; about equally many rows each."""
        slots, total = len(self._starts) - 1, int(self._starts[-1])
        threads = min(torch.get_num_threads(), slots, 1 + total // ROWS_A_THREAD)
        ideal = [total * part / threads for part in range(1, threads)]
        return [0, *(int(np.abs(self._starts - rows).argmin()) for rows in ideal), slots]


def _flat(matrices: Tensor) -> tuple[Any, int]:
    """What lies in memory from the first number to the last of `matrices (slots, r, n)`, and where slots begin."""
    slots, r, n = matrices.shape
    if matrices.stride()[1:] != (n, 1):  # of one row or column any stride is right, and torch may say any
        assert r == 1 or n == 1 or not matrices.is_leaf, "a gradient's place is as the bank makes it"
        matrices = matrices.contiguous()
    stride = matrices.stride(0)
    return matrices.detach().as_strided(((slots - 1) * stride + r * n,), (1,)).numpy(), stride
