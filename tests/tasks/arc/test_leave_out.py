from __future__ import annotations

import pytest

from whet.errors import InputError
from whet.tasks.arc import ArcTask, Pair, as_grid
from whet.tasks.arc.leave_out import leave_out


def task(*numbers: int) -> ArcTask:
    """A demonstration for each number."""
    pairs = tuple(Pair(as_grid([[number]]), as_grid([[number, number]])) for number in numbers)
    return ArcTask("x", pairs, (as_grid([[9]]),))


def told(of: ArcTask, n: int) -> list[tuple[list[int], int]]:
    """The numbers of the demonstrations and of the target."""
    return [
        ([int(pair.input[0, 0]) for pair in episode.demonstrations], int(episode.target.input[0, 0]))
        for episode in leave_out(of, n).episodes
    ]


def test_three_pairs_by_hand() -> None:
    assert told(task(1, 2, 3), 1) == [([2, 3], 1), ([1, 3], 2), ([1, 2], 3)]
    assert told(task(1, 2, 3), 2) == [([2], 1), ([3], 1), ([1], 2), ([3], 2), ([1], 3), ([2], 3)]
    assert leave_out(task(1, 2, 3)).reason == ""


def test_equal_pairs_make_equal_episodes_and_these_are_one() -> None:
    assert told(task(1, 1, 2), 1) == [([1, 2], 1), ([1, 1], 2)]
    assert told(task(1, 1, 2), 2) == [([1], 1), ([2], 1), ([1], 2)]


def test_what_leaves_no_demonstration_is_empty_and_says_why() -> None:
    assert told(task(1), 1) == told(task(1, 2), 2) == []
    assert "has one training pair" in leave_out(task(1)).reason
    assert "has 2 training pairs, so leaving out 2" in leave_out(task(1, 2), 2).reason
    with pytest.raises(InputError, match="n is 0"):
        leave_out(task(1, 2), 0)
