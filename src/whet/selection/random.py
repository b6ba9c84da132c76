"""Random choice: the baseline that knows nothing of the query."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from whet.errors import InputError
from whet.selection.base import Choice, FloatArray, Stop
from whet.selection.checks import checked_count, checked_noise, checked_vectors
from whet.selection.picking import follow


@dataclass(frozen=True)
class Random:
    """Candidates drawn uniformly, each at most once.

    The generator is made anew from the seed and the query's numbers: the same query gets the same draw, in whatever
    order or thread queries come, and different queries get independent ones.

    Attributes:
        seed: of the draw, a whole number ≥ 0.
        noise: λ > 0 of the surrogate that the variance trace is from; takes no part in the choice.
    """

    seed: int = 0
    noise: float = 0.01
    name: ClassVar[str] = "random"

    def __post_init__(self) -> None:
        checked_noise(self.noise)
        if self.seed < 0:
            raise InputError(f"seed={self.seed}: give a whole number of at least 0.")

    def choose(self, candidates: FloatArray, query: FloatArray, n: int, *, stop: Stop | None = None) -> Choice:
        """Choose up to `n` candidates `(K, d)` for the query `(d,)` or `(m, d)`; see `Selector.choose`.

        Raises:
            InputError: as every selector, and if `n` is above the number of candidates.
        """
        candidates, query = checked_vectors(candidates, query, self.noise)
        checked_count(n, available=len(candidates))
        digest = hashlib.blake2b(query.tobytes(), digest_size=8).digest()
        generator = np.random.default_rng([self.seed, int.from_bytes(digest, "little")])
        order = generator.permutation(len(candidates))[:n]
        return follow(candidates, query, order, self.noise, stop)
