"""Measuring what a query really costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from whet.types import Cost


class Meter:
    """Adds up wall-clock seconds by phase, tokens by use, and operations. One meter a query, used by one thread.

    Args:
        clock: returns seconds from some fixed moment, never running backwards.

    >>> ticks = iter(range(10))
    >>> meter = Meter(clock=lambda: next(ticks))
    >>> with meter.phase("train"):
    ...     meter.count(tokens={"train": 12}, flops=3.0)
    >>> meter.cost()
    Cost(seconds={'train': 1.0}, tokens={'train': 12}, flops=3.0)
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self._start = self._charged = clock()
        self._open: list[str] = []
        self._seconds: dict[str, float] = {}
        self._tokens: dict[str, int] = {}
        self._flops = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge the time within to `name`, also if it raises.

        A phase inside another takes its time from the outer one, so that the phases never add up to more than has
        passed.
        """
        self._charge()
        self._open.append(name)
        self._seconds.setdefault(name, 0.0)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def count(self, tokens: Mapping[str, int] | None = None, flops: float = 0.0) -> None:
        """Add tokens by use, and floating-point operations."""
        for use, number in (tokens or {}).items():
            self._tokens[use] = self._tokens.get(use, 0) + number
        self._flops += flops

    def elapsed(self) -> float:
        """Seconds since the meter was made, in phases or between them."""
        return self.clock() - self._start

    def cost(self) -> Cost:
        """What has been spent so far, open phases included."""
        self._charge()
        return Cost(dict(self._seconds), dict(self._tokens), self._flops)

    def _charge(self) -> None:
        now = self.clock()
        if self._open:
            self._seconds[self._open[-1]] += now - self._charged
        self._charged = now
