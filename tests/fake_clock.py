"""A clock that only moves when it is told to."""

from __future__ import annotations


class FakeClock:
    """Seconds that pass by `sleep`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
