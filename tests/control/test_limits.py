"""When training ends, on a clock that only moves when told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fake_clock import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from whet.control import TimeLimit
from whet.errors import InputError


def train(limit: Callable[[int], bool], clock: FakeClock, durations: Iterator[float], most: int = 1000) -> int:
    """Take steps of the given durations until the limit says enough; the number of steps taken."""
    for step in range(most):
        if limit(step):
            return step
        clock.sleep(next(durations))
    return most


def constant(seconds: float) -> Iterator[float]:
    while True:
        yield seconds


def test_steps_that_fit_exactly_are_taken() -> None:
    clock = FakeClock()
    assert train(TimeLimit(10, clock), clock, constant(2)) == 5


def test_a_step_that_would_overrun_is_not_taken() -> None:
    clock = FakeClock()
    assert train(TimeLimit(10, clock), clock, constant(3)) == 3
    assert clock() == 100 + 9


def test_the_first_step_is_taken_if_any_time_is_left() -> None:
    clock = FakeClock()
    assert train(TimeLimit(0.01, clock), clock, constant(3)) == 1


@pytest.mark.parametrize("seconds", [0, -2])
def test_no_time_left_is_no_step(seconds: float) -> None:
    assert TimeLimit(seconds, FakeClock())(0)


@given(st.lists(st.floats(0.5, 2), min_size=60, max_size=60), st.floats(1, 20))
def test_no_overrun_beyond_what_one_step_takes_longer_than_the_mean(durations: list[float], seconds: float) -> None:
    clock = FakeClock()
    limit = TimeLimit(seconds, clock)
    steps = train(limit, clock, iter(durations), most=60)
    spent = clock() - 100
    before = spent - durations[steps - 1]
    mean = before / (steps - 1) if steps > 1 else 0.0
    assert before + mean <= seconds + 1e-9
    assert spent + spent / steps > seconds or steps == 60


def test_limits_are_refused_if_they_make_no_sense() -> None:
    with pytest.raises(InputError, match="seconds=nan"):
        TimeLimit(float("nan"))
