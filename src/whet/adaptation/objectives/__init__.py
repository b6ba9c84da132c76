"""Objectives: what an adapter is trained to do with an example."""

from collections.abc import Callable, Mapping
from functools import partial

from whet.adaptation.objectives.base import Lesson, Objective
from whet.adaptation.objectives.distillation import Distillation
from whet.adaptation.objectives.entropy import Entropy
from whet.adaptation.objectives.labels import Labels
from whet.adaptation.objectives.lengths import TOO_LONG
from whet.adaptation.objectives.masked import MaskedTokens
from whet.adaptation.objectives.next_token import NextToken
from whet.adaptation.objectives.perplexity import Perplexity
from whet.adaptation.objectives.spans import SpanDenoising
from whet.adaptation.objectives.weighted import Weighted

OBJECTIVES: Mapping[str, Callable[..., Objective]] = {
    "all": NextToken,
    "completion": partial(NextToken, True),
    "perplexity": Perplexity,
    "entropy": Entropy,
    "masked": MaskedTokens,
    "spans": SpanDenoising,
}
"""Objectives by the names that a `TrainConfig` gives them; each takes `too_long`, one of `TOO_LONG`."""

__all__ = [
    "OBJECTIVES",
    "TOO_LONG",
    "Distillation",
    "Entropy",
    "Labels",
    "Lesson",
    "MaskedTokens",
    "NextToken",
    "Objective",
    "Perplexity",
    "SpanDenoising",
    "Weighted",
]
