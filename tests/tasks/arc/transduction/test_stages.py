from itertools import islice

import numpy as np

from whet.programs.limits import Meter
from whet.tasks.arc import ArcTask
from whet.tasks.arc.transduction.practice import Practice
from whet.tasks.arc.transduction.stages import stages

PRACTICE = Practice(steps=10, episodes=2, lr=1e-2)


def taken(net, task, seconds, count=9):
    return list(islice(stages(net, task, PRACTICE, 2, Meter(seconds)), count))


def test_each_stage_has_twice_the_steps_of_the_one_before(net, task):
    found = taken(net, task, 1e6, 4)
    assert [stage.steps for stage in found] == [0, 10, 30, 70]
    assert all(stage.readings[0].cells.shape[0] == 2 for stage in found)
    seconds = [stage.seconds for stage in found]
    assert seconds == sorted(seconds)


def test_the_same_seed_gives_the_same_stages(net, task):
    first, again = taken(net, task, 1e6, 3), taken(net, task, 1e6, 3)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.readings[0].cells, other.readings[0].cells)


def test_a_stage_changes_what_the_net_says_and_the_net_itself_not(net, task):
    first, second, _ = taken(net, task, 1e6, 3)
    assert not np.array_equal(first.readings[0].cells, second.readings[0].cells)
    np.testing.assert_array_equal(taken(net, task, 1e6, 1)[0].readings[0].cells, first.readings[0].cells)


def test_without_time_the_net_answers_as_it_is_in_one_view(net, task):
    (stage,) = taken(net, task, 0.0)
    assert (stage.steps, len(stage.readings[0].symmetries)) == (0, 1)


def test_a_single_demonstration_leaves_nothing_to_practise_on(net, task):
    lone = ArcTask("lone", task.train[:1], task.test)
    assert [stage.steps for stage in taken(net, lone, 1e6)] == [0]
