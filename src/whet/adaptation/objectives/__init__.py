"""Objectives: what an adapter is trained to do with an example."""

from collections.abc import Callable, Mapping

from whet.adaptation.objectives.base import Lesson, Objective
from whet.adaptation.objectives.next_token import NextToken

OBJECTIVES: Mapping[str, Callable[[], Objective]] = {
    "all": NextToken,
    "completion": lambda: NextToken(completion=True),
}
"""Objectives by the names that a `TrainConfig` gives them."""

__all__ = ["OBJECTIVES", "Lesson", "NextToken", "Objective"]
