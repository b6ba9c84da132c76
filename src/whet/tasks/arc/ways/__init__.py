"""The ways to solve a task, which the controller tries in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from whet.programs.limits import Meter
from whet.tasks.arc.task import ArcTask
from whet.tasks.arc.ways.candidate import Candidate, Findings
from whet.tasks.arc.ways.induction import induction
from whet.tasks.arc.ways.language import language
from whet.tasks.arc.ways.settings import ARC_NET, Settings
from whet.tasks.arc.ways.synthesis import synthesis
from whet.tasks.arc.ways.transduction import beyond_training, transduction

Way = Callable[[ArcTask, Settings, Meter], Iterator[Findings]]
"""Says what it has, each time that it has better candidates, until the meter's time is over."""

WAYS: dict[str, Way] = {
    "induction": induction,
    "transduction": transduction,
    "synthesis": synthesis,
    "language": language,
}
"""All by name."""

AGAINST: dict[str, Callable[[ArcTask, Settings], str]] = {"transduction": beyond_training}
"""By the name of a way, what tells why it would not help with a task; most may always help."""

__all__ = ["AGAINST", "ARC_NET", "WAYS", "Candidate", "Findings", "Settings", "Way"]
