"""What one slot holds: named tensors that lie end to end in one flat row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whet.errors import AdapterError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """The shapes of a slot's tensors, by name, in the order in which they lie in its row."""

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def size(self) -> int:
        """Numbers in a row."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def views(self, rows: Tensor) -> dict[str, Tensor]:
        """The named tensors of all slots, `(slots, *shape)` each, as views of `rows (slots, size)`."""
        found, begin = {}, 0
        for name, shape in self.shapes.items():
            size = math.prod(shape)
            found[name] = rows.narrow(1, begin, size).view(len(rows), *shape)
            begin += size
        return found

    def row(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """The reverse for one slot: its named tensors end to end, `(size,)`.

        Raises:
            AdapterError: a tensor is missing, of another shape, or not finite.
        """
        import torch

        for name, shape in self.shapes.items():
            given = tensors.get(name)
            if given is None or given.shape != shape:
                what = "is missing" if given is None else f"is {tuple(given.shape)} there"
                raise AdapterError(f"an adapter cannot be loaded: {name}, which is {shape} here, {what}.")
        row = torch.cat([tensors[name].reshape(-1) for name in self.shapes])
        # a finite sum has finite parts, and is found sooner
        if not math.isfinite(row.sum()) and not bool(row.isfinite().all()):
            worst = next(name for name in self.shapes if not bool(tensors[name].isfinite().all()))
            raise AdapterError(f"an adapter cannot be loaded: {worst} holds numbers that are not finite.")
        return row
