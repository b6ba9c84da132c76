"""How much work a task may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """Bounds on the search for one task.

    Attributes:
        seconds: wall-clock time at most; where it ends the search, the result depends on the machine.
        programs: distinct programs enumerated at most, in each view of the task.
        memory: bytes at most for the values of programs, about; what they are fitted with takes up to half as much.
    """

    seconds: float = 60.0
    programs: int = 288_000
    memory: int = 1 << 30


@dataclass
class Meter:
    """Time that runs from the moment it is made."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    start: float = field(init=False)

    def __post_init__(self) -> None:
        self.start = self.clock()

    def left(self) -> float:
        """Seconds that are left; below 0 if none are."""
        return self.seconds - (self.clock() - self.start)

    def go_on(self) -> bool:
        """Whether time is left."""
        return self.left() > 0

    def part(self, share: float) -> Meter:
        """A meter for a share of the time that is left."""
        return Meter(max(self.left(), 0.0) * share, self.clock)
