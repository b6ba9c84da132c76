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
        self._threads = min(torch.get_num_threads(), 1 + sum(rows) // ROWS_A_THREAD)

    def shrink(self, matrices: Tensor, x: Tensor) -> Tensor:
        """`(rows, r)`."""
        _, r, n = matrices.shape
        matrices, x = _readable(matrices), x.contiguous()
        inner = x.new_empty(len(x), r)
        given = inner.data_ptr(), r, matrices.data_ptr(), matrices.stride(0), r, x.data_ptr(), n
        in_threads(compiled.shrink, given, self._by_rows)
        return inner

    def expand(self, y: Tensor, inner: Tensor, matrices: Tensor, scale: float) -> Tensor:
        """`y (rows, n)`, overwritten."""
        _, r, n = matrices.shape
        matrices = _readable(matrices)
        step, stride = inner.stride(0), matrices.stride(0)
        given = y.data_ptr(), inner.data_ptr(), step, matrices.data_ptr(), stride, r, n, float(scale)
        in_threads(compiled.expand, given, self._by_rows)
        return y

    def changed(self, y: Tensor, product: tuple[int, ...], inner: Tensor, matrices: Tensor, scale: float) -> Tensor:
        """`y (rows, n)`, overwritten by a product, the first arguments of `panels.product`, and then as by `expand`."""
        _, r, _ = matrices.shape
        matrices = _readable(matrices)
        given = *product, inner.data_ptr(), inner.stride(0), matrices.data_ptr(), matrices.stride(0), r, float(scale)
        in_threads(compiled.changed, given, self._by_rows)
        return y

    def outer(self, into: Tensor, inner: Tensor, x: Tensor, scale: float) -> Tensor:
        """`into (slots, r, n)`, overwritten."""
        _, r, n = into.shape
        x = x.contiguous()
        step, stride = inner.stride(0), into.stride(0)
        given = into.data_ptr(), stride, r, inner.data_ptr(), step, x.data_ptr(), n, float(scale)
        in_threads(compiled.outer, given, self._by_slots)
        return into

    @cached_property
    def _by_rows(self) -> list[tuple[Any, int, int]]:
        """For each thread where its rows of each slot begin and end, and the slots."""
        slots, total = len(self._starts) - 1, int(self._starts[-1])
        if self._threads == 1:
            return [(self._starts, 0, slots)]
        borders = [self._fitting(total * part // self._threads) for part in range(self._threads)] + [total]
        return [(np.clip(self._starts, *share), 0, slots) for share in pairwise(borders)]

    def _fitting(self, row: int) -> int:
        """The row at or before this one at which a slot's rows may be parted without parting any four that go together.

        So what comes out for a slot depends neither on the other slots nor on the number of threads.
        """
        slot = int(np.searchsorted(self._starts, row, side="right")) - 1
        return row - (row - int(self._starts[slot])) % compiled.TOGETHER

    @cached_property
    def _by_slots(self) -> list[tuple[Any, int, int]]:
        """For each thread its slots, with about equally many rows; a slot's sums are for one thread."""
        slots, total = len(self._starts) - 1, int(self._starts[-1])
        threads = min(self._threads, slots)
        ideal = [total * part / threads for part in range(1, threads)]
        borders = [0, *(int(np.abs(self._starts - rows).argmin()) for rows in ideal), slots]
        return [(self._starts, *share) for share in pairwise(borders)]


def _readable(matrices: Tensor) -> Tensor:
    """`(slots, r, n)` with each slot's numbers end to end."""
    return matrices if matrices.stride()[1:] == (matrices.shape[2], 1) else matrices.contiguous()
