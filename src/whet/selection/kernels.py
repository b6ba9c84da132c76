"""What the surrogate takes for the similarity of two inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from whet.selection.arrays import Array, namespace


class Kernel(Protocol):
    """A positive semi-definite function of two inputs, on arrays of them."""

    def __call__(self, a: Array, b: Array, /) -> Array:
        """`(…, p, d)` and `(…, q, d)` to `(…, p, q)`: k of every pair."""
        ...

    def diagonal(self, a: Array, /) -> Array:
        """`(…, p, d)` to `(…, p)`: k of every input with itself."""
        ...


@dataclass(frozen=True)
class Linear:
    """The inner product: the surrogate is a linear function of the embedding."""

    def __call__(self, a: Array, b: Array, /) -> Array:
        """`(…, p, d)` and `(…, q, d)` to `(…, p, q)`."""
        return a @ b.mT

    def diagonal(self, a: Array, /) -> Array:
        """`(…, p, d)` to `(…, p)`: squared lengths."""
        return namespace(a).einsum("...d,...d->...", a, a)


LINEAR = Linear()
