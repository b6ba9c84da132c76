"""How much text that an adapter was not trained on gains by it, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

from whet.adaptation.guard.verdict import Gain

if TYPE_CHECKING:
    from whet.types import Example

_LAST = 4
_TINY = 1e-9  # of a text that the base model is certain of, nothing can be gained


def measure_gain(before: Sequence[float], after: Sequence[float], confidence: float, *, unit: float = 1.0) -> Gain:
    """The gain from losses of the same tokens, or of the same texts, with the base and with the adapted model.

    Its bound is that of a one-sided interval for the mean difference, by the normal approximation. Losses of one text
    depend on each other, so it is a little too sure. A single difference is its own bound.

    Args:
        before, after: at least one loss each.
        confidence: of the bound.
        unit: bits per byte in one unit of loss.
    """
    differences = [b - a for b, a in zip(before, after, strict=True)]
    mean, base, n = fmean(differences), max(fmean(before), _TINY), len(differences)
    # statistics.stdev takes no NaN
    error = math.sqrt(fmean((d - mean) ** 2 for d in differences) / (n - 1)) if n > 1 else 0.0
    return Gain(
        before=fmean(before) * unit,
        after=fmean(after) * unit,
        mean=mean / base,
        least=(mean - NormalDist().inv_cdf(confidence) * error) / base,
    )


def last_new(learnt: Sequence[Example]) -> list[int]:
    """Places of the last picks that had not been learnt before: up to 4, and never the first of all.

    Before the first step an adapter changes nothing, so the first pick says nothing of it.
    """
    seen: set[str] = set()
    places = []
    for place, example in enumerate(learnt):
        if example.id not in seen and place:
            places.append(place)
        seen.add(example.id)
    return places[-_LAST:]
