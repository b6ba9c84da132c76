"""Budgets and what they refuse."""

from __future__ import annotations

import pytest

from whet.control import Budget
from whet.errors import InputError


def test_without_limits_by_default() -> None:
    assert Budget() == Budget(seconds=None, steps=None)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_seconds_are_positive_and_finite(seconds: float) -> None:
    with pytest.raises(InputError, match=f"seconds={seconds}"):
        Budget(seconds=seconds)


@pytest.mark.parametrize("steps", [0, -3, 1.5])
def test_steps_are_whole_and_positive(steps: int) -> None:
    with pytest.raises(InputError, match=f"steps={steps}"):
        Budget(steps=steps)
