"""Time is that of a clock that goes on by what each token of a pass takes, and by three times of it in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from whet.adaptation import AdapterBank, LoraConfig
from whet.errors import InputError
from whet.models import LanguageModel
from whet.programs.limits import Meter
from whet.tasks.arc import ArcTask, Pair, as_grid
from whet.tasks.arc.language import Answering, CellTokens, practise, read
from whet.tasks.arc.language.in_time import practised_readings, seconds_of_a_pass
from whet.tasks.arc.transduction.practice import Practice

HOW = Answering(views=2, above=1e-2, max_nodes=30)
PRACTICE = Practice(steps=2, episodes=2, lr=1e-2)
LIMIT = 1000.0


class Paced:
    """How long the model takes, and the tokens of its passes."""

    def __init__(self, clock: Any) -> None:
        self.clock, self.seconds_a_token = clock, 0.0
        self.passes: list[int] = []

    def __call__(self, _: Any, given: tuple[torch.Tensor], *__: Any) -> None:
        self.passes.append(given[0].numel())
        times = 3 if torch.is_grad_enabled() else 1
        self.clock.now += times * self.seconds_a_token * given[0].numel()


@pytest.fixture
def paced(model: LanguageModel, clock: Any) -> Iterator[Paced]:
    pace = Paced(clock)
    handle = model.module.get_input_embeddings().register_forward_hook(pace)
    yield pace
    handle.remove()


@pytest.fixture
def readings_of(
    model: LanguageModel, serialisation: CellTokens, paced: Paced
) -> Callable[[ArcTask, float], tuple[int, list[Any]]]:
    bank = AdapterBank(model.module, LoraConfig(r=2))

    def found(task: ArcTask, seconds_a_token: float) -> tuple[int, list[Any]]:
        paced.seconds_a_token = seconds_a_token
        paced.clock.now = 0.0
        return practised_readings(model, serialisation, bank, task, HOW, Meter(LIMIT, paced.clock), PRACTICE)

    return found


@pytest.mark.parametrize("seconds_a_token", [4.0**n for n in range(-5, 8, 2)])
def test_a_model_of_any_speed_ends_in_time(
    task: ArcTask, paced: Paced, readings_of: Any, seconds_a_token: float
) -> None:
    steps, readings = readings_of(task, seconds_a_token)
    # one pass begins before the time is over; no token but the first sixteen is read without knowing how long it takes
    assert paced.clock.now <= max(LIMIT, 16 * seconds_a_token)
    assert steps in range(PRACTICE.steps + 1)
    if seconds_a_token < 0.01:
        assert steps == PRACTICE.steps
        assert all(reading.candidates for reading in readings)
    if seconds_a_token > 20:
        assert (steps, readings) == (0, [])


def test_with_ample_time_it_is_practice_and_reading(
    model: LanguageModel, serialisation: CellTokens, task: ArcTask, readings_of: Any
) -> None:
    steps, readings = readings_of(task, 0.0)
    bank = AdapterBank(model.module, LoraConfig(r=2))
    assert practise(model, serialisation, bank, [task], PRACTICE) == steps == PRACTICE.steps
    with bank.using(0):
        wanted = read(model, serialisation, task, HOW)
    assert [one.scores for one in readings] == [one.scores for one in wanted]


def test_a_single_demonstration_is_answered_by_the_model_as_it_is(
    model: LanguageModel, serialisation: CellTokens, task: ArcTask, readings_of: Any
) -> None:
    lone = replace(task, train=task.train[:1])
    readings_of(task, 0.0)  # what another task has taught is forgotten
    steps, readings = readings_of(lone, 0.0)
    assert steps == 0
    assert [one.scores for one in readings] == [one.scores for one in read(model, serialisation, lone, HOW)]


def test_what_is_longer_than_the_context_is_refused_before_a_pass(paced: Paced, readings_of: Any) -> None:
    huge = as_grid(np.zeros((20, 20), int))
    with pytest.raises(InputError, match="context"):
        readings_of(ArcTask("huge", (Pair(huge, huge),) * 2, (huge,)), 0.0)
    assert not paced.passes


def test_passes_are_measured_on_more_and_more_tokens(model: LanguageModel, paced: Paced) -> None:
    paced.seconds_a_token = 1.0
    assert seconds_of_a_pass(model, [1] * 100, Meter(LIMIT, paced.clock)) == 100.0
    assert paced.passes == [16, 32, 64, 100]
    paced.passes.clear()
    # after 16 and 32 tokens, the 52 seconds that are left are not enough for 64
    assert seconds_of_a_pass(model, [1] * 100, Meter(100.0, paced.clock)) is None
    assert paced.passes == [16, 32]
