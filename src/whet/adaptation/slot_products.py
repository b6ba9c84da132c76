"""The compiled products of `whet.adaptation.compiled` for tensors, in as many threads as torch computes with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from whet.adaptation import compiled
from whet.models.threads import in_threads

if TYPE_CHECKING:
    from whet.adaptation.kernels import InPanels

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

    def outer(self, into: Tensor, inner: Tensor, x: Tensor, scale: float) -> Tensor:
        """`into (slots, r, n)`, overwritten."""
        _, r, n = into.shape
        x = x.contiguous()
        step, stride = inner.stride(0), into.stride(0)
        given = into.data_ptr(), stride, r, inner.data_ptr(), step, x.data_ptr(), n, float(scale)
        in_threads(compiled.outer, given, self._by_slots)
        return into

    def linears(self, x: Tensor, a: Tensor, layers: Sequence[InPanels], scale: float) -> Tensor:
        """`inner (rows, r)`, see `compiled.linears`; what each layer makes of `x (rows, n)` is put into its `y`."""
        _, r, n = a.shape
        a = _readable(a)
        inner = x.new_empty(len(x), r)
        table, _kept = _table(layers)
        at, count = table.ctypes.data, len(layers)
        given = x.data_ptr(), n, inner.data_ptr(), r, a.data_ptr(), a.stride(0), at, count, float(scale)
        in_threads(compiled.linears, given, self._by_rows)
        return inner

    def linears_back(
        self, x: Tensor, inner: Tensor, a: Tensor, layers: Sequence[InPanels], scale: float, *, further: bool
    ) -> Tensor | None:
        """Add to each layer's `d_a` and `d_b`; with `further` the gradient with respect to `x`.

        Each layer's `y` is the gradient with respect to what `linears` made, and its panels are of the matrix turned.
        """
        _, r, n = a.shape
        a = _readable(a)
        d_x, d_inner = x.new_empty(x.shape) if further else None, torch.empty_like(inner)
        table, _kept = _table(layers)
        at, count, places = table.ctypes.data, len(layers), (0 if d_x is None else d_x.data_ptr(), n)
        given = *places, d_inner.data_ptr(), r, a.data_ptr(), a.stride(0), at, count, float(scale)
        in_threads(compiled.linears_back, given, self._by_rows)
        sums = x.data_ptr(), n, inner.data_ptr(), d_inner.data_ptr(), r, at, count, float(scale)
        in_threads(compiled.linears_outer, sums, self._by_slots)
        return d_x

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


def _table(layers: Sequence[InPanels]) -> tuple[Any, list[Tensor]]:
    """The layers for `whet.adaptation.compiled`; and what must stay alive while it is read."""
    matrices = [_readable(layer.b) for layer in layers]
    rows = [
        compiled.Layer(
            one.y.data_ptr(),
            one.y.shape[1],
            one.panels.data_ptr(),
            int(one.panels.dtype == torch.bfloat16),
            int(one.adds),
            b.shape[1],
            b.data_ptr(),
            b.stride(0),
            *((one.d_a.data_ptr(), one.d_a.stride(0)) if one.d_a is not None else (0, 0)),
            *((one.d_b.data_ptr(), one.d_b.stride(0)) if one.d_b is not None else (0, 0)),
        )
        for one, b in zip(layers, matrices, strict=True)
    ]
    return np.array(rows, np.int64), matrices
