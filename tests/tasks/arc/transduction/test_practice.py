from dataclasses import replace

import numpy as np
import pytest
import torch

from whet.adaptation.bank import AdapterBank
from whet.adaptation.forms.lora import LoraConfig
from whet.programs.limits import Meter
from whet.tasks.arc import ArcTask, as_grid
from whet.tasks.arc.transduction.looks import Look
from whet.tasks.arc.transduction.loss import mean_loss
from whet.tasks.arc.transduction.practice import Practice, drawn, episodes_of, practise_slots, practised
from whet.tasks.arc.transduction.reading import read

PRACTICE = Practice(steps=3, episodes=4, lr=1e-2)


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_the_net_itself_is_left_as_it_is_bit_for_bit(net, task):
    before = state(net)
    own, steps = practised(net, task, PRACTICE)
    assert steps == PRACTICE.steps
    assert same(before, state(net))
    assert not same(before, state(own))
    assert not any(p.requires_grad or p.grad is not None for p in (*net.parameters(), *own.parameters()))


def test_the_same_seed_trains_the_same_weights(net, task):
    first, again = (state(practised(net, task, PRACTICE)[0]) for _ in range(2))
    assert same(first, again)
    assert not same(first, state(practised(net, task, replace(PRACTICE, seed=1))[0]))


def test_training_sees_the_demonstrations_alone(net, task):
    other = ArcTask("other", task.train, (as_grid(np.full((5, 5), 7)),))
    assert same(state(practised(net, task, PRACTICE)[0]), state(practised(net, other, PRACTICE)[0]))


@pytest.mark.parametrize("context", [True, False])
def test_the_task_is_learnt(net, task, context):
    practice = Practice(steps=60, episodes=8, lr=2e-2, views=False, context=context)
    batch, colours, sides = drawn(np.random.default_rng(9), episodes_of(task, practice), practice)
    own, _ = practised(net, task, practice)
    before, after = (mean_loss(*which(batch), colours, sides) for which in (net, own))
    assert after < 0.6 * before


def test_each_demonstration_is_predicted_from_the_others(task):
    found = episodes_of(task, Practice())
    assert [episode.target for episode in found] == list(task.train)
    assert all(len(episode.demonstrations) == 3 and episode.target not in episode.demonstrations for episode in found)
    alone = episodes_of(task, Practice(context=False))
    assert [(episode.demonstrations, episode.target) for episode in alone] == [((), pair) for pair in task.train]


def test_two_demonstrations_can_be_left_out_as_well_as_one(task):
    found = episodes_of(task, Practice(left_out=2))
    assert found[:4] == episodes_of(task, Practice())
    assert [len(episode.demonstrations) for episode in found[4:]] == [2] * 12  # 4 to predict, 3 to leave out with each
    assert len({episode.key for episode in found}) == 16
    assert episodes_of(replace(task, train=task.train[:2]), Practice(left_out=2)) == episodes_of(
        replace(task, train=task.train[:2]), Practice()
    )


def test_every_episode_comes_equally_often(task):
    practice = Practice(episodes=8, views=False)
    batch, *_ = drawn(np.random.default_rng(0), episodes_of(task, practice), practice)
    queries = [tuple(row[3, 1:7].tolist()) for row in batch.inputs]
    assert sorted(queries) == sorted(2 * [tuple(pair.input.ravel().tolist()) for pair in task.train])


def test_a_task_with_one_demonstration_leaves_the_net_as_it_is(net, task):
    single = replace(task, train=task.train[:1])
    assert practised(net, single, PRACTICE) == (net, 0)
    bank = AdapterBank(net, LoraConfig(r=2), slots=1)
    practise_slots(bank, [single], PRACTICE)
    with bank.using(0):
        answers = read(net, single, [Look()])
    assert np.array_equal(answers[0].cells, read(net, single, [Look()])[0].cells)


def test_a_slot_learns_as_if_it_were_alone(net, task):
    other = replace(task, train=task.train[::-1][:3])
    before = state(net)
    bank, alone = (AdapterBank(net, LoraConfig(r=2), slots=n) for n in (2, 1))
    practise_slots(bank, [other, task], PRACTICE)
    practise_slots(alone, [task], PRACTICE)
    for name, tensor in alone.tensors(0).items():
        torch.testing.assert_close(bank.tensors(1)[name], tensor, atol=1e-4, rtol=1e-3)
    assert same(before, state(net))


def test_slots_learn(net, task):
    practice = Practice(steps=60, episodes=8, lr=3e-2, views=False)
    bank = AdapterBank(net, LoraConfig(r=8), slots=1)
    practise_slots(bank, [task], practice)
    batch, colours, sides = drawn(np.random.default_rng(9), episodes_of(task, practice), practice)
    with torch.no_grad():
        before = mean_loss(*net(batch), colours, sides)
        with bank.using(0):
            after = mean_loss(*net(batch), colours, sides)
    assert after < 0.9 * before


def test_no_step_begins_after_the_time(net, task):
    ticks = iter(range(100))
    _, steps = practised(net, task, replace(PRACTICE, steps=50), Meter(10, lambda: float(next(ticks))))
    assert steps == 9
