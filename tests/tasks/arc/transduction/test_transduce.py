import numpy as np
import pytest

from whet.errors import InputError
from whet.tasks.arc import ArcTask, Pair, as_grid
from whet.tasks.arc.transduction import Practice, transduce


def test_there_are_two_attempts_of_the_right_size_at_each_test_input(net, task):
    result = transduce(net, task, Practice(steps=2, episodes=4), views=3)
    assert result.id == task.id
    assert [[grid.shape for grid in tried] for tried in result.attempts] == [[(2, 3)] * 2] * 2
    assert all(not np.array_equal(*tried) for tried in result.attempts)


def test_the_task_is_solved_after_practice_and_not_before(net, task):
    always = as_grid([[1, 2, 3], [4, 5, 6]])
    rng = np.random.default_rng(0)  # more inputs than so small a net can learn by heart
    shown = tuple(Pair(as_grid(rng.integers(0, 10, (2, 3))), always) for _ in range(10))
    task = ArcTask("always", shown, task.test)
    practice = Practice(steps=120, episodes=8, lr=1e-2, views=False)
    before, after = (transduce(net, task, which, views=1) for which in (None, practice))
    assert [np.array_equal(tried[0], always) for tried in after.attempts] == [True, True]
    assert [np.array_equal(tried[0], always) for tried in before.attempts] == [False, False]


def test_an_unknown_vote_is_refused(net, task):
    with pytest.raises(InputError, match="flat, hierarchical, product"):
        transduce(net, task, vote="loudest")
