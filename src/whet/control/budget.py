"""How much a query may cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from whet.errors import InputError


@dataclass(frozen=True)
class Budget:
    """What may be spent on a query; None sets no limit.

    Attributes:
        seconds: wall-clock seconds, > 0.
        steps: gradient steps, at least 1.

    Raises:
        InputError: a limit is not positive, not finite, or not a whole number of steps.

    >>> Budget(seconds=2.5)
    Budget(seconds=2.5, steps=None)
    """

    seconds: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise InputError(f"seconds={self.seconds}: give a positive number of seconds, or None for no limit.")
        if self.steps is not None and not (isinstance(self.steps, int) and self.steps >= 1):
            raise InputError(f"steps={self.steps!r}: give a whole number of at least 1, or None for no limit.")
