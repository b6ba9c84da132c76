"""When a selection ends: rules that a selector asks before each pick."""

from __future__ import annotations

import math
from dataclasses import dataclass

from whet.errors import InputError


@dataclass(frozen=True)
class AdaptiveStop:
    """Take a pick only if the query is then known well enough to pay for as many steps: σ_n ≤ 1 / (α n).

    σ_n² is the query's posterior variance after n picks as a share of the prior variance, so σ_0 = 1. What adaptation
    gains is taken to grow as 1 / σ_n, and what it costs as n. The pick that would break the rule is left out and ends
    the selection, so that every pick of the choice satisfies it. With α ≤ 1 the first 1 / α picks always do, since
    σ_n ≤ 1; after them, the better the candidates explain the query, the more of them are taken.

    Source: Hübotter et al. 2025, arXiv 2410.08020, adaptive SIFT. The authors' code selects first and then keeps every
    n with σ_n ≤ 1 / (α n); here the first that fails ends the selection, which saves the rest of its work.

    Attributes:
        alpha: α > 0; a smaller one goes on for longer. 0.15 to 0.5 have been studied.

    >>> AdaptiveStop(alpha=0.5)(3, 0.3, 0.26), AdaptiveStop(alpha=0.5)(3, 0.3, 0.24)
    (True, False)
    """

    alpha: float = 0.15

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise InputError(f"alpha={self.alpha}: give a positive number; smaller goes on for longer, such as 0.15.")

    def __call__(self, picked: int, _variance: float, proposed: float, /) -> bool:
        """Whether the next pick would leave more uncertainty than its number allows."""
        return math.sqrt(proposed) > 1 / (self.alpha * (picked + 1))


@dataclass(frozen=True)
class VarianceTarget:
    """Pick until the query's posterior standard deviation is down to `sigma`; the pick that gets there is kept.

    Attributes:
        sigma: share of the prior standard deviation, between 0 and 1 (both excluded).

    >>> VarianceTarget(sigma=0.5)(3, 0.25, 0.2), VarianceTarget(sigma=0.5)(3, 0.26, 0.2)
    (True, False)
    """

    sigma: float

    def __post_init__(self) -> None:
        if not 0 < self.sigma < 1:
            raise InputError(f"sigma={self.sigma}: give a share of the prior standard deviation between 0 and 1.")

    def __call__(self, _picked: int, variance: float, _proposed: float, /) -> bool:
        """Whether the picks so far suffice."""
        return variance <= self.sigma**2


@dataclass(frozen=True)
class MinimumGain:
    """Pick as long as each pick pays: it lowers the query's posterior variance by at least `gain`.

    The first pick that would not is left out and ends the selection. Mostly picks gain less and less, so that later
    ones would not have paid either; but two picks may tell together what neither tells alone, and then this rule ends
    too early.

    Attributes:
        gain: what a pick costs, as a share of the prior variance, between 0 and 1 (both excluded).

    >>> MinimumGain(gain=0.01)(3, 0.25, 0.245), MinimumGain(gain=0.01)(3, 0.25, 0.235)
    (True, False)
    """

    gain: float

    def __post_init__(self) -> None:
        if not 0 < self.gain < 1:
            raise InputError(f"gain={self.gain}: give a share of the prior variance between 0 and 1, such as 0.001.")

    def __call__(self, _picked: int, variance: float, proposed: float, /) -> bool:
        """Whether the next pick would gain less than it costs."""
        return variance - proposed < self.gain
