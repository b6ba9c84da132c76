"""The meter, on a clock that only moves when told."""

from __future__ import annotations

import pytest
from fake_clock import FakeClock

from whet.control import Meter
from whet.types import Cost


def test_phases_of_a_name_add_up_and_gaps_are_nobodys() -> None:
    clock = FakeClock()
    meter = Meter(clock)
    clock.sleep(1)
    for seconds in (2, 3):
        with meter.phase("train"):
            clock.sleep(seconds)
        clock.sleep(10)
    with meter.phase("score"):
        clock.sleep(0.5)
    assert meter.cost().seconds == {"train": 5.0, "score": 0.5}
    assert meter.elapsed() == 26.5


def test_an_inner_phase_takes_its_time_from_the_outer_one() -> None:
    clock = FakeClock()
    meter = Meter(clock)
    with meter.phase("train"):
        clock.sleep(1)
        with meter.phase("guard"):
            clock.sleep(10)
        clock.sleep(2)
    assert meter.cost().seconds == {"train": 3.0, "guard": 10.0}


def test_a_phase_that_fails_is_charged_and_closed() -> None:
    clock = FakeClock()
    meter = Meter(clock)

    def fail() -> None:
        with meter.phase("train"):
            clock.sleep(4)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    clock.sleep(7)
    assert meter.cost().seconds == {"train": 4.0}


def test_cost_within_a_phase_includes_it_so_far() -> None:
    clock = FakeClock()
    meter = Meter(clock)
    with meter.phase("train"):
        clock.sleep(4)
        assert meter.cost().seconds == {"train": 4.0}
        clock.sleep(1)
    assert meter.cost().seconds == {"train": 5.0}


def test_counts_add_up_by_use() -> None:
    meter = Meter(FakeClock())
    meter.count(tokens={"train": 12, "guard": 3}, flops=1e9)
    meter.count(tokens={"train": 8})
    meter.count(flops=5e8)
    assert meter.cost() == Cost(seconds={}, tokens={"train": 20, "guard": 3}, flops=1.5e9)


def test_a_cost_does_not_change_afterwards() -> None:
    clock = FakeClock()
    meter = Meter(clock)
    cost = meter.cost()
    with meter.phase("train"):
        clock.sleep(1)
    meter.count(tokens={"train": 1})
    assert cost == Cost(seconds={}, tokens={}, flops=0.0)


def test_the_clock_of_the_machine_is_the_default() -> None:
    meter = Meter()
    with meter.phase("train"):
        pass
    assert 0 <= meter.cost().seconds["train"] <= meter.elapsed() < 60
