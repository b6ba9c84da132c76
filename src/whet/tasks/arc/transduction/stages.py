"""Answers of the net after none, some and more practice, as long as time is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from whet.programs.limits import Meter
from whet.tasks.arc.task import ArcTask
from whet.tasks.arc.transduction.looks import looks
from whet.tasks.arc.transduction.practice import Practice, episodes_of, practised
from whet.tasks.arc.transduction.reading import Reading, read

if TYPE_CHECKING:
    from whet.models.grid_net import GridNet

_BACKWARD = 3.0
"""Times of a forward pass that an update takes."""
_READING = 0.25
"""The most of the time that the first reading may take; where grids are large, there are fewer views."""
_WORTH_WHILE = 10
"""Updates below which practice changes too little."""


@dataclass(frozen=True)
class Stage:
    """What the net makes of each test input after so many steps of practice, and the seconds since the start."""

    steps: int
    readings: list[Reading]
    seconds: float


def stages(net: GridNet, task: ArcTask, practice: Practice, views: int, meter: Meter) -> Iterator[Stage]:
    """The net as it is, then after stages of practice, each with twice the steps of the one before.

    A stage begins with the weights that the last one ended with. How many steps the time is enough for is reckoned from
    what the last took, so that the learning rate falls to zero in time; where not even ten fit, there is no stage more.
    How much is done depends on the speed of the machine, and what comes of it on nothing else but the seed.
    """
    begin = meter.clock()
    read(net, task, looks(1, seed=0))
    a_view = meter.clock() - begin
    views = max(1, min(views, int(_READING * meter.left() / a_view)))
    seen_as = looks(views, seed=0)
    start = meter.clock()
    readings = read(net, task, seen_as)
    reading = meter.clock() - start
    yield Stage(0, readings, meter.clock() - begin)
    if not episodes_of(task, practice):
        return
    step = _BACKWARD * reading * practice.episodes / views
    done, stage = 0, 0
    while True:
        room = int((meter.left() - reading) / step)
        if room < _WORTH_WHILE:
            return
        steps = min(practice.steps * 2**stage, room)
        start = meter.clock()
        longer = replace(practice, steps=steps, seed=practice.seed + stage)
        net, steps = practised(net, task, longer, Meter(meter.left() - reading, meter.clock))
        step = (meter.clock() - start) / max(1, steps)
        done, stage = done + steps, stage + 1
        yield Stage(done, read(net, task, seen_as, context=practice.context), meter.clock() - begin)
