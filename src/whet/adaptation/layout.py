"""What one slot holds: named tensors that lie end to end in one flat row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """The shapes of a slot's tensors, by name, in the order in which they lie in its row."""

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def size(self) -> int:
        """Numbers in a row."""
        return sum(prod(shape) for shape in self.shapes.values())

    def views(self, rows: Tensor) -> dict[str, Tensor]:
        """The named tensors of all slots, `(slots, *shape)` each, as views of `rows (slots, size)`."""
        found, begin = {}, 0
        for name, shape in self.shapes.items():
            end = begin + prod(shape)
            found[name] = rows[:, begin:end].unflatten(1, shape)
            begin = end
        return found
