"""When training ends: a rule that a trainer asks before each step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from whet.errors import InputError


@dataclass(frozen=True)
class TimeLimit:
    """No step that, by the mean duration of those so far, would end after the time is up.

    The time runs from when the limit is made, so make it right before training. The first step is always taken if any
    time is left, since nothing is known of its duration.

    Attributes:
        seconds: wall-clock seconds from now; 0 or less allows no step.
        clock: returns seconds from some fixed moment.
    """

    seconds: float
    clock: Callable[[], float] = time.perf_counter
    start: float = field(init=False)

    def __post_init__(self) -> None:
        if math.isnan(self.seconds):
            raise InputError(f"seconds={self.seconds}: give a number of seconds.")
        object.__setattr__(self, "start", self.clock())

    def __call__(self, step: int, /) -> bool:
        """Whether to end after `step` steps."""
        spent = self.clock() - self.start
        mean = spent / step if step else 0.0
        return spent >= self.seconds or spent + mean > self.seconds
