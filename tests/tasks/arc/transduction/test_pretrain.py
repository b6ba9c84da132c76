import numpy as np
import pytest
import torch

from whet.errors import InputError, ModelError
from whet.models.grid_net import GridNet, GridNetConfig, load_grid_net, save_grid_net
from whet.tasks.arc.net_file import trained_on, trained_up_to
from whet.tasks.arc.transduction.pretrain import Pretraining, Schedule
from whet.tasks.arc.transduction.sampling import Mixture, Sampler

CONFIG = GridNetConfig(width=16, blocks=2, heads=2, hidden=24)
SAMPLER = Sampler(Mixture(sides=(4,), tokens=300), seed=0)


def trained(folder, *schedules, every=100):
    numbers = []
    for schedule in schedules:
        pretraining = Pretraining(CONFIG, folder)
        pretraining.train(SAMPLER, schedule, save_every=every, log=numbers.append)
    return pretraining.net.state_dict(), numbers


def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    whole, numbers = trained(tmp_path / "whole", Schedule(8, warmup=3, decay=0))
    parts, again = trained(tmp_path / "parts", Schedule(3, warmup=3), Schedule(5, warmup=3), Schedule(8, warmup=3))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert numbers == again


def test_the_state_before_the_fall_is_kept_for_a_longer_run(tmp_path):
    trained(tmp_path / "fallen", Schedule(8, warmup=3, decay=3))
    flat, _ = trained(tmp_path / "flat", Schedule(5, warmup=3))
    kept = load_grid_net(tmp_path / "fallen" / "plateau.safetensors").state_dict()
    ended = load_grid_net(tmp_path / "fallen" / "state.safetensors").state_dict()
    assert all(torch.equal(flat[name], kept[name]) for name in flat)
    assert not all(torch.equal(ended[name], kept[name]) for name in flat)


def test_the_rate_rises_stays_and_falls_to_zero():
    schedule = Schedule(10, lr=1.0, warmup=4, decay=3)
    rates = [schedule.rate(step) for step in range(11)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 2 / 3, 1 / 3, 0])


def test_a_state_of_another_shape_is_refused(tmp_path):
    trained(tmp_path, Schedule(1))
    with pytest.raises(InputError, match="another folder"):
        Pretraining(GridNetConfig(width=16, blocks=3, heads=2, hidden=24), tmp_path)


def test_a_file_says_which_tasks_it_was_trained_on(tmp_path):
    pair = (np.zeros((2, 2), np.uint8), np.ones((1, 1), np.uint8))
    for step, names in ((1, "ab"), (2, "bc")):
        sampler = Sampler(Mixture(tasks={name: [pair] * 3 for name in names}, sides=(4,), tokens=200), 0)
        pretraining = Pretraining(CONFIG, tmp_path)
        pretraining.train(sampler, Schedule(step), save_every=9, log=lambda _: None)
    assert trained_on(tmp_path / "state.safetensors") == {"a", "b", "c"}
    with pytest.raises(ModelError, match=r"other\.safetensors"):
        trained_on(tmp_path / "other.safetensors")


def test_a_file_says_how_large_the_grids_were_that_it_was_trained_on(tmp_path):
    state = tmp_path / "state.safetensors"
    for step, sides in ((1, (4, 6)), (2, (5,))):
        Pretraining(CONFIG, tmp_path).train(
            Sampler(Mixture(sides=sides, tokens=200), 0), Schedule(step), save_every=9, log=lambda _: None
        )
        assert trained_up_to(state) == 6
    save_grid_net(GridNet(CONFIG), tmp_path / "silent.safetensors")
    assert trained_up_to(tmp_path / "silent.safetensors") == 30
    state.write_text("no net")
    with pytest.raises(ModelError, match=r"state\.safetensors"):
        trained_up_to(state)


def test_a_batch_depends_on_its_step_alone():
    mixture = Mixture(sides=(4, 6), tokens=300)
    forwards = Sampler(mixture, 0)
    first = [forwards.batch(step) for step in range(20)]
    for step in (17, 3, 19):
        batch, colours, sides = Sampler(mixture, 0).batch(step)
        assert torch.equal(batch.inputs, first[step][0].inputs)
        assert torch.equal(colours, first[step][1])
        assert torch.equal(sides, first[step][2])
    assert not torch.equal(Sampler(mixture, 1).batch(0)[0].inputs, first[0][0].inputs)


def test_tasks_of_a_training_set_come_in_with_pairs_that_are_small_enough():
    rng = np.random.default_rng(0)
    small = [(rng.integers(0, 10, (2, 2), np.uint8), np.full((1, 1), 3, np.uint8)) for _ in range(5)]
    large = (np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8))
    mixture = Mixture(tasks={"a": [*small, large], "b": [large] * 5}, made_up=0.0, sides=(4,), tokens=200)
    batch, colours, sides = Sampler(mixture, 0).batch(0)
    assert batch.inputs.shape[2] == 1 + 4
    assert (sides[sides >= 0] == 0).all()
    assert len(set(colours[colours >= 0].tolist())) > 1  # in other colours each time


def test_no_query_is_in_its_own_context():
    for step in range(16):
        for question, _ in SAMPLER.questions(step):
            grids = [(grid.shape, grid.tobytes()) for grid in (*question.inputs, *(a for a, _ in question.context))]
            assert len(set(grids)) == len(grids)


def test_some_queries_ask_for_the_size_and_the_others_for_the_cells():
    asked = [
        (question.sizes[place], answers[place].shape)
        for step in range(16)
        for question, answers in SAMPLER.questions(step)
        for place in range(len(answers))
    ]
    share = sum(size is None for size, _ in asked) / len(asked)
    assert 0.02 < share < 0.25
    assert all(size in (None, shape) for size, shape in asked)
