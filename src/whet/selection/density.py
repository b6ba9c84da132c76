"""Information density: informative examples that are typical of the candidates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from whet.errors import InputError
from whet.selection.arrays import Array, namespace
from whet.selection.criteria import PosteriorSelector
from whet.selection.posterior import Posterior


@dataclass(frozen=True)
class InformationDensity(PosteriorSelector):
    """What lowers the targets' variance most, weighted by how similar the candidate is to all the others.

    x_{n+1} = argmax_x g_n(x) · (1/K Σ_{x'} sim(x, x'))^β. The informativeness g_n is `Vtl`'s, the reduction of the
    targets' summed variance; the similarity is (1 + cosine) / 2, between 0 and 1, and its mean runs over all K
    candidates, x among them, as in the source. An outlier thus has to tell more. The lowest index wins a tie.

    Source: Settles and Craven 2008, "An analysis of active learning strategies for sequence labeling tasks";
    there g is the entropy of the predicted labels. Cost: that of `Posterior`, and O(K d) a pick.

    Attributes:
        beta: β ≥ 0, how much density counts; 0 gives `Vtl`.
    """

    beta: float = 1.0
    name: ClassVar[str] = "density"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.beta) and self.beta >= 0):
            raise InputError(f"beta={self.beta}: give a number of at least 0; the usual one is 1.")

    def score(self, posterior: Posterior) -> Array:
        """`(B, K)`, the reduction of the targets' variance times the density to the power of β."""
        return posterior.reduction() * _density(posterior.candidates) ** self.beta


def _density(candidates: Array) -> Array:
    """`(B, K)`, mean of (1 + cosine) / 2 with all candidates `(B, K, d)`.

    The mean of the cosines is the cosine's inner product with the mean unit vector, so no pairs are formed.
    """
    unit = candidates / namespace(candidates).linalg.norm(candidates, axis=2)[:, :, None]
    cosine = (unit @ unit.mean(axis=1)[:, :, None])[:, :, 0]
    return ((1 + cosine) / 2).clip(min=0)
