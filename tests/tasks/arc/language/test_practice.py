from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from whet.adaptation import AdapterBank, FullConfig, LoraConfig
from whet.errors import InputError
from whet.models import LanguageModel
from whet.programs.limits import Meter
from whet.tasks.arc import ArcTask, Pair, as_grid
from whet.tasks.arc.language import CellTokens, practise
from whet.tasks.arc.language.lessons import token_lesson
from whet.tasks.arc.language.practice import drawn, fitting
from whet.tasks.arc.transduction.practice import Practice, episodes_of

PRACTICE = Practice(steps=3, episodes=4, lr=1e-2, left_out=2)


def nats(model: LanguageModel, serialisation: CellTokens, pairs: tuple[Pair, ...]) -> float:
    """Mean over the learnt tokens of a lesson, by one plain pass."""
    lesson = token_lesson(serialisation, pairs)
    with torch.no_grad():
        table = model.module(torch.tensor([lesson.ids])).logits[0].log_softmax(-1)
    return -float(np.mean([float(table[place - 1, lesson.ids[place]]) for place in lesson.learnt]))


@pytest.fixture
def others(task: ArcTask) -> list[ArcTask]:
    """Tasks of other lengths; one has nothing to practise on."""
    rng = np.random.default_rng(1)
    grids = [as_grid(rng.integers(0, 10, (3, 4))) for _ in range(3)]
    large = ArcTask("same", tuple(Pair(grid, grid) for grid in grids), (grids[0],))
    return [large, replace(task, id="single", train=task.train[:1])]


@pytest.mark.parametrize("form", [LoraConfig(r=2), FullConfig()], ids=["lora", "full"])
def test_a_task_alone_learns_what_it_learns_in_company(
    model: LanguageModel, serialisation: CellTokens, task: ArcTask, others: list[ArcTask], form: Any
) -> None:
    alone, together = (AdapterBank(model.module, form, slots=n) for n in (1, 4))
    practise(model, serialisation, alone, [task], PRACTICE)
    practise(model, serialisation, together, [*others, task], PRACTICE)
    for name, tensor in alone.tensors(0).items():
        torch.testing.assert_close(together.tensors(2)[name], tensor, rtol=1e-8, atol=1e-10)
    fresh = AdapterBank(model.module, form, slots=1)
    fresh.reset(0, seed=PRACTICE.seed)
    assert torch.equal(together.weights[1], fresh.weights[0])
    assert not torch.equal(alone.weights[0], fresh.weights[0])


def test_a_step_is_one_of_adam_on_the_mean_over_all_learnt_tokens(
    model: LanguageModel, serialisation: CellTokens, task: ArcTask
) -> None:
    practice = Practice(steps=1, episodes=3, lr=1e-2)
    bank = AdapterBank(model.module, FullConfig(), slots=1)
    practise(model, serialisation, bank, [task], practice)
    own = copy.deepcopy(model.module).requires_grad_(True)
    episodes = drawn(np.random.default_rng(0), episodes_of(task, practice), practice)
    losses = []
    for episode in episodes:
        lesson = token_lesson(serialisation, (*episode.demonstrations, episode.target))
        table = own(torch.tensor([lesson.ids])).logits[0].log_softmax(-1)
        losses += [-table[place - 1, lesson.ids[place]] for place in lesson.learnt]
    torch.stack(losses).mean().backward()
    torch.nn.utils.clip_grad_norm_(own.parameters(), 1.0)
    torch.optim.Adam(own.parameters(), lr=1e-2, betas=(0.9, 0.95)).step()
    moved = bank.tensors(0)
    for name, parameter in own.named_parameters():
        torch.testing.assert_close(moved[name], parameter.detach(), rtol=1e-6, atol=1e-8)


def test_practice_makes_the_demonstrations_likelier_and_leaves_the_model(
    model: LanguageModel, serialisation: CellTokens, task: ArcTask
) -> None:
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    unlearnt = nats(model, serialisation, task.train)
    bank = AdapterBank(model.module, LoraConfig(r=4), slots=1)
    practise(model, serialisation, bank, [task], Practice(steps=60, lr=2e-2, views=False, left_out=2))
    with bank.using(0):
        learnt = nats(model, serialisation, task.train)
    assert learnt < 0.8 * unlearnt
    assert nats(model, serialisation, task.train) == unlearnt
    assert all(torch.equal(before[name], tensor) for name, tensor in model.module.state_dict().items())


def test_episodes_leave_one_and_two_out_in_whole_rounds(task: ArcTask) -> None:
    practice = replace(PRACTICE, episodes=32, views=False)
    found = drawn(np.random.default_rng(0), episodes_of(task, practice), practice)
    sizes = [len(episode.demonstrations) for episode in found]
    assert (sizes.count(3), sizes.count(2)) == (8, 24)  # 4 that leave one out and 12 that leave two out, twice


def test_views_change_colours_sides_and_order_but_not_the_rule(task: ArcTask) -> None:
    practice = Practice(episodes=200)
    found = drawn(np.random.default_rng(0), episodes_of(task, practice), practice)
    assert {episode.target.input.shape for episode in found} == {(2, 3), (3, 2)}
    for episode in found:
        for pair in (*episode.demonstrations, episode.target):
            flips = [np.fliplr(pair.input), np.flipud(pair.input)]
            assert any(np.array_equal(pair.output, flip) for flip in flips)
    assert len({episode.key for episode in found}) > 190


def test_what_is_longer_than_the_context_loses_its_first_demonstrations(
    model: LanguageModel, serialisation: CellTokens, task: ArcTask
) -> None:
    long = tuple(task.train[i % 4] for i in range(30))
    lesson = fitting(model, serialisation, long)
    assert len(lesson.ids) - 1 <= model.context
    fits = next(n for n in range(30) if token_lesson(serialisation, long[n:]) == lesson)
    assert len(token_lesson(serialisation, long[fits - 1 :]).ids) - 1 > model.context
    huge = as_grid(np.zeros((30, 30)).astype(int))
    with pytest.raises(InputError, match="context"):
        fitting(model, serialisation, (Pair(huge, huge),))


@pytest.mark.parametrize(
    ("seconds", "shares"),
    [
        (100.0, [1.0, 0.75, 0.5, 0.25]),  # ample: as without a limit
        (3.0, [1.0, 2 / 3, 1 / 3]),
        (2.5, [1.0, 0.6, 0.2]),
        (0.0, []),
        (-1.0, []),
    ],
)
def test_the_rate_falls_to_zero_in_time(
    model: LanguageModel,
    serialisation: CellTokens,
    task: ArcTask,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    shares: list[float],
) -> None:
    bank = AdapterBank(model.module, LoraConfig(r=2))
    step, made, rates = bank.step, [], []

    def of_a_second(make: Any, *, clip: float | None = None) -> list[int]:
        moved = step(lambda rows: made.append(make(rows)) or made[0], clip=clip)
        clock.now += 1
        rates.append(made[0].param_groups[0]["lr"])
        return moved

    monkeypatch.setattr(bank, "step", of_a_second)
    practice = Practice(steps=4, episodes=1, lr=1e-2)
    steps = practise(model, serialisation, bank, [task], practice, Meter(seconds, clock))
    assert steps == len(shares)
    assert rates == pytest.approx([1e-2 * share for share in shares])


def test_more_tasks_than_slots_are_refused(model: LanguageModel, serialisation: CellTokens, task: ArcTask) -> None:
    with pytest.raises(InputError, match="2 tasks"):
        practise(model, serialisation, AdapterBank(model.module, LoraConfig(r=2)), [task, task])
