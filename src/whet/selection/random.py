"""A random draw, to compare with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.errors import InputError
from whet.selection.base import Predictions
from whet.selection.criteria import OrderSelector
from whet.selection.nearest import Fixed


@dataclass(frozen=True)
class Random(OrderSelector):
    """A uniform draw from the candidates, without replacement.

    The generator is made anew from the seed and the query's numbers: the same query gets the same draw, in whatever
    order or thread queries come, and different queries get independent ones.

    Attributes:
        noise: λ > 0 of the surrogate that the variance trace is from; takes no part in the choice.
        seed: of the draw, a whole number ≥ 0.
    """

    seed: int = 0
    name: ClassVar[str] = "random"

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_seed(self.seed)

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],
        n: int,  # noqa: ARG002
        predictions: Predictions | None,  # noqa: ARG002
    ) -> Fixed:
        """Larger for what comes earlier in the draw."""
        place = np.empty(len(candidates))
        place[generator(self.seed, targets).permutation(len(candidates))] = np.arange(len(candidates))
        return Fixed(-place)


def generator(seed: int, targets: NDArray[Any]) -> np.random.Generator:
    """Random numbers of a seed and a query `(m, d)`, whatever was drawn before.

    Raises:
        InputError: the seed is negative.
    """
    checked_seed(seed)
    digest = hashlib.blake2b(np.ascontiguousarray(targets).tobytes(), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "little")])


def checked_seed(seed: int) -> None:
    """Refuse a negative seed.

    Raises:
        InputError: it is below 0.
    """
    if seed < 0:
        raise InputError(f"seed={seed}: give a whole number of at least 0.")
