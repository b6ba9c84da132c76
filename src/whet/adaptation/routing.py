"""Which rows of a batch belong to which slot, and products with one matrix a slot.

A batch's rows (tokens, or inputs of a plain module) lie end to end, slot after slot. The product of each slot's rows
with its own matrix is one `bmm` when all slots have equally many rows, and otherwise one grouped product over the
ragged stretches, or a loop where torch has none (Chen et al. 2023, arXiv 2310.18547, call it SGMV).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from whet.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from whet.adaptation.slot_products import SlotProducts


class Routing:
    """How many rows of a batch each slot has.

    Args:
        rows: rows of each slot, at least one each, in the order in which they lie in the batch.
        device: where the batch is.
    """

    def __init__(self, rows: Sequence[int], device: torch.device) -> None:
        if not rows or min(rows) < 1:
            raise InputError(f"rows={list(rows)}: give each slot at least one row of the batch.")
        self.rows = tuple(rows)
        self.total = sum(rows)
        self.equal = min(rows) == max(rows)
        self._device = device

    @cached_property
    def ends(self) -> Tensor:
        """Where the rows of each slot end, `(slots,)` int32."""
        import torch

        return torch.tensor(list(accumulate(self.rows)), dtype=torch.int32, device=self._device)

    @cached_property
    def lengths(self) -> Tensor:
        """Rows of each slot, `(slots,)` int64."""
        import torch

        return torch.tensor(self.rows, device=self._device)

    def of(self, rows: int) -> Routing:
        """The routing of a tensor of `rows` rows, in which each row of the batch has become equally many.

        Raises:
            InputError: the rows of the batch cannot have become that many.
        """
        if rows == self.total:
            return self
        factor, rest = divmod(rows, self.total)
        if rest:
            raise InputError(
                f"rows={list(self.rows)} were routed, but a module was given {rows} rows, which is no multiple of "
                f"{self.total}; route as many rows as the batch has."
            )
        return Routing([n * factor for n in self.rows], self._device)

    def shrink(self, matrices: Tensor, x: Tensor) -> Tensor:
        """Each slot's matrix of `matrices (slots, r, n)` times its rows of `x (rows, n)`.

        The result is for `expand`, `outer`, `side_by_side` and `apart` to read. Compiled it is `(rows, r)`. Else the
        rank comes first, which products are fast at: `(slots, r, rows of a slot)` when all slots have equally many rows
        and `(r, rows)` otherwise.
        """
        import torch

        if self.compiles(matrices):
            return self.products.shrink(matrices, x)
        if self.equal:
            return torch.bmm(matrices, self._stacked(x).transpose(1, 2))
        if _groups(matrices, x):
            return torch.nn.functional.grouped_mm(matrices, x.T, offs=self.ends)
        return torch.cat([m @ part.T for m, part in zip(matrices, x.split(self.rows), strict=True)], dim=1)

    def expand(self, y: Tensor | None, inner: Tensor, matrices: Tensor, scale: float = 1.0) -> Tensor:
        """`scale` times each slot's columns of `inner`, turned, times its matrix of `matrices (slots, r, n)`.

        The result is `(rows, n)`, added in place to the contiguous `y (rows, n)` if there is one.
        """
        import torch

        if self.compiles(matrices):
            y = matrices.new_zeros(self.total, matrices.shape[-1]) if y is None else y
            return self.products.expand(y, inner, matrices, scale)
        if self.equal:
            if y is None:
                return torch.bmm(inner.transpose(1, 2), matrices).flatten(0, 1).mul_(scale)
            self._stacked(y).baddbmm_(inner.transpose(1, 2), matrices, alpha=scale)
            return y
        if _groups(inner, matrices):
            found = torch.nn.functional.grouped_mm(inner.T, matrices, offs=self.ends)
        else:
            parts = inner.split(self.rows, dim=1)
            found = torch.cat([part.T @ m for part, m in zip(parts, matrices, strict=True)])
        return found.mul_(scale) if y is None else y.add_(found, alpha=scale)

    def outer(self, inner: Tensor, x: Tensor, scale: float, into: Tensor) -> Tensor:
        """Add to `into (slots, r, n)`: `scale` times each slot's columns of `inner` times its rows of `x (rows, n)`."""
        import torch

        if self.compiles(into):
            return self.products.outer(into, inner, x, scale)
        if len(self.rows) == 1:
            return into.baddbmm_(inner, x[None], alpha=scale)
        if self.equal:  # into its place at once would be slot by slot
            found = torch.bmm(inner, self._stacked(x))
        elif _groups(inner, x):
            found = torch.nn.functional.grouped_mm(inner, x, offs=self.ends)
        else:
            parts = zip(inner.split(self.rows, dim=1), x.split(self.rows), strict=True)
            found = torch.stack([a @ b for a, b in parts])
        return into.add_(found, alpha=scale)

    def side_by_side(self, inners: Sequence[Tensor]) -> Tensor:
        """What `shrink` gives for several matrices, as it would give it for all in one."""
        import torch

        return inners[0] if len(inners) == 1 else torch.cat(list(inners), dim=self._rank_dim(inners[0]))

    def apart(self, inner: Tensor, ranks: Sequence[int]) -> Sequence[Tensor]:
        """The reverse of `side_by_side`."""
        return [inner] if len(ranks) == 1 else inner.split(list(ranks), dim=self._rank_dim(inner))

    def _rank_dim(self, inner: Tensor) -> int:
        return -1 if self.compiles(inner) else -2

    def compiles(self, like: Tensor) -> bool:
        """Whether products with such matrices are those of `products`."""
        import torch

        return self._compiled and like.dtype == torch.float32

    @cached_property
    def _compiled(self) -> bool:
        from whet.models.threads import numba_is_there

        return self._device.type == "cpu" and numba_is_there()

    @cached_property
    def products(self) -> SlotProducts:
        """The products of these rows as machine code, for what `compiles`."""
        from whet.adaptation.slot_products import SlotProducts

        return SlotProducts(self.rows)

    def spread(self, values: Tensor) -> Tensor:
        """One value (or vector) a slot, `(slots, …)`, repeated for each of its rows: `(rows, …)`."""
        return values.repeat_interleave(self.lengths, dim=0, output_size=self.total)

    def mean(self, values: Tensor) -> Tensor:
        """Mean over each slot's rows of `values (rows,)`: `(slots,)`."""
        import torch

        if self.equal:
            return values.view(len(self.rows), -1).mean(1)
        return torch.segment_reduce(values, "mean", lengths=self.lengths)

    def _stacked(self, x: Tensor) -> Tensor:
        return x.view(len(self.rows), -1, x.shape[-1])


def _groups(*operands: Tensor) -> bool:
    """Whether torch has a grouped product that takes these."""
    import torch

    if not hasattr(torch.nn.functional, "grouped_mm"):
        return False
    dtypes = (torch.float32, torch.bfloat16) if operands[0].device.type == "cpu" else (torch.bfloat16,)
    return all(x.dtype in dtypes and _aligned(x) for x in operands)


def _aligned(x: Tensor) -> bool:
    """Whether each row, or each column, begins at a multiple of 16 bytes."""
    inner, outer = sorted(x.stride()[-2:])
    return inner == 1 and outer * x.element_size() % 16 == 0
