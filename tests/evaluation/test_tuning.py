"""Tuning on a tiny model: what the numbers are, and that a run goes on where it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import HashEmbedder

from whet.adaptation import AdapterBank, Trainer
from whet.config import EngineConfig
from whet.decoding import Score, score_many, score_text
from whet.engine import Engine
from whet.errors import InputError
from whet.evaluation import Tuned, tune
from whet.evaluation.held_out import hold_out
from whet.evaluation.tuning import Saved, Tried
from whet.memory import Memory
from whet.types import Example

QUERIES = 4


def fill(folder: Path) -> Memory:
    memory = Memory.create(folder / "m.whet", embedder=HashEmbedder())
    memory.add(
        Example(f"def area_{i}(width, height):\n    return width * height * {i}\n\nprint(area_{i}({i}, {i + 1}))\n" * 2)
        for i in range(12)
    )
    return memory


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    return fill(tmp_path_factory.mktemp("tuning"))


@pytest.fixture(scope="module")
def whole(tiny_llama, memory: Memory) -> Tuned:
    """Three trials at once."""
    return tune(tiny_llama, memory, file=memory.path / "whole.sqlite", trials=3, queries=QUERIES)


Tune = Callable[..., Tuned]


@pytest.fixture
def find(tiny_llama, memory: Memory, tmp_path: Path) -> Tune:
    def find(trials: int, **more: object) -> Tuned:
        return tune(
            tiny_llama,
            **{"memory": memory, "file": tmp_path / "t.sqlite", "trials": trials, "queries": QUERIES, **more},
        )

    return find


def alone(tiny_llama, memory: Memory, half: int, config: EngineConfig) -> np.ndarray:
    """Share of bits saved on each query of a half, one by one."""
    shares = []
    for held in hold_out(memory, QUERIES, candidates=config.candidates, seed=config.seed)[half]:
        bank = AdapterBank(tiny_llama.module, config.lora)
        bank.reset(0, seed=config.seed)
        picked = Engine(tiny_llama, memory, config).pick(held.candidates)
        Trainer(tiny_llama, bank, config.train).run({0: picked.examples})
        base = score_text(tiny_llama, held.target, given=held.given).nats
        with bank.using(0):
            shares.append(1 - score_text(tiny_llama, held.target, given=held.given).nats / base)
    return np.array(shares)


def test_the_numbers_are_those_of_adapters_trained_one_by_one(whole: Tuned, tiny_llama, memory: Memory) -> None:
    assert whole.queries == (2, 2)
    assert len(whole.trials) == 3
    for tried in (whole.default, whole.best):
        assert tried.tuning.mean == pytest.approx(alone(tiny_llama, memory, 0, tried.config).mean(), abs=1e-4)
        assert tried.reporting.mean == pytest.approx(alone(tiny_llama, memory, 1, tried.config).mean(), abs=1e-4)
    assert whole.gain.mean == pytest.approx(whole.best.reporting.mean - whole.default.reporting.mean)
    low, high = whole.gain.ci95
    assert low <= whole.gain.mean <= high


def test_the_best_is_never_worse_than_the_default_where_it_was_chosen(whole: Tuned) -> None:
    assert whole.default.config == EngineConfig()
    assert whole.best.tuning.mean >= whole.default.tuning.mean == whole.trials[0].saved
    assert whole.best.tuning.mean == max(trial.saved for trial in whole.trials if not trial.pruned)


def test_one_trial_compares_the_default_with_itself(find: Tune) -> None:
    tuned = find(1)
    assert tuned.best == tuned.default
    assert tuned.gain == Saved(0.0, (0.0, 0.0))
    assert "No trial saves more" in tuned.verdict()


def test_interrupted_it_goes_on_to_the_same_end(find: Tune, whole: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []

    def interrupted(*arguments: object, **named: object) -> list[Score]:
        passes.append(1)
        if len(passes) == 3:
            raise KeyboardInterrupt
        return score_many(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr("whet.evaluation.tuning.score_many", interrupted)
        with pytest.raises(KeyboardInterrupt):
            find(3)
    told: list[int] = []
    assert find(3, progress=told.append) == whole
    assert told == [2, 3]


def test_more_trials_go_on_from_those_there_are(find: Tune, whole: Tuned) -> None:
    assert find(1).trials == whole.trials[:1]
    assert find(3) == whole
    assert find(2) == whole


def test_the_trials_of_another_run_are_refused(find: Tune, tmp_path: Path) -> None:
    memory = fill(tmp_path)
    find(1, memory=memory)
    for other in ({"seed": 1}, {"queries": 5}):
        with pytest.raises(InputError, match="another run"):
            find(1, memory=memory, **other)
    memory.add([Example("something new " * 20)])
    with pytest.raises(InputError, match="a memory that has changed"):
        find(1, memory=memory)


@pytest.mark.parametrize("nats", [float("nan"), 1e9])
def test_an_adapter_that_went_astray_counts_as_all_bits_lost(
    find: Tune, monkeypatch: pytest.MonkeyPatch, nats: float
) -> None:
    def astray(*_: object, slots: range, **__: object) -> list[Score]:
        return [Score(nats, 1, 1) for _ in slots]

    monkeypatch.setattr("whet.evaluation.tuning.score_many", astray)
    assert find(1).default.tuning == Saved(-1.0, (-1.0, -1.0))


def test_no_trials_are_refused(find: Tune) -> None:
    with pytest.raises(InputError, match="trials=0"):
        find(0)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.01, 0.03), "too, the best settings save more"),
        ((-0.01, 0.03), "includes 0"),
        ((-0.03, -0.01), "keep the default"),
    ],
)
def test_the_verdict_is_that_of_the_interval(ends: tuple[float, float], said: str) -> None:
    saved = Saved(0.1, (0.0, 0.2))
    default = Tried(EngineConfig(), saved, saved)
    best = replace(default, config=EngineConfig(picks=9))
    gain = Saved(sum(ends) / 2, ends)
    many, few = (Tuned(default, best, gain, (n, n), ()).verdict() for n in (12, 4))
    assert said in many
    assert "so few texts" not in many
    assert said in few
    assert ("so few texts (4)" in few) == (ends[0] * ends[1] > 0)
