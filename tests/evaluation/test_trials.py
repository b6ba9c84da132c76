"""The study by itself, with savings that are known: what is proposed, reported, ended early and kept."""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from whet.adaptation import LoraConfig, TrainConfig
from whet.config import EngineConfig
from whet.errors import InputError, MissingExtraError, StoreError
from whet.evaluation.trials import (
    config_of,
    ended_trials,
    open_study,
    optuna_ready,
    params_of,
    search_space,
    try_next,
)

DIFFICULTY = np.array([0.5, 0.3, 0.0, 0.2, -0.1, 0.3, 0.1, 0.0])
"""What the default settings save on each query, in four groups of two."""


def gain(config: EngineConfig) -> float:
    """Over the default settings: most for a learning rate of 0.01."""
    return 0.1 * (math.log(10 / 3) ** 2 - math.log(config.train.lr / 0.01) ** 2)


def savings(config: EngineConfig) -> Iterator[list[float]]:
    for group in DIFFICULTY.reshape(4, 2):
        yield (group + gain(config)).tolist()


def run(file: Path, model, trials: int, *, seed: int = 0) -> list[optuna.trial.FrozenTrial]:
    with optuna_ready(file):
        study = open_study(file, {"seed": seed})
        while len(ended_trials(study)) < trials:
            try_next(study, search_space(model), EngineConfig(seed=seed), savings)
        return ended_trials(study)


def test_the_default_comes_first_and_the_search_finds_better(tiny_llama, tmp_path: Path) -> None:
    trials = run(tmp_path / "trials.sqlite", tiny_llama, 20)
    assert config_of(trials[0].params, EngineConfig()) == EngineConfig()
    assert trials[0].value == pytest.approx(DIFFICULTY.mean())
    best = max(trials, key=lambda trial: trial.value)
    assert config_of(best.params, EngineConfig()).train.lr == pytest.approx(0.01, rel=0.3)


def test_what_is_reported_on_the_way_does_not_depend_on_how_hard_the_queries_are(tiny_llama, tmp_path: Path) -> None:
    for trial in run(tmp_path / "trials.sqlite", tiny_llama, 12)[1:]:
        expected = DIFFICULTY.mean() + gain(config_of(trial.params, EngineConfig()))
        assert list(trial.intermediate_values.values()) == pytest.approx([expected] * len(trial.intermediate_values))
        assert trial.value == pytest.approx(expected)


def test_bad_trials_are_ended_early_and_the_best_is_not(tiny_llama, tmp_path: Path) -> None:
    trials = run(tmp_path / "trials.sqlite", tiny_llama, 20)
    pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
    assert pruned
    assert all(len(trial.intermediate_values) < 4 for trial in pruned)
    assert max(trials, key=lambda trial: trial.value).state.name == "COMPLETE"


def test_killed_in_any_trial_it_goes_on_as_if_nothing_had_happened(tiny_llama, tmp_path: Path) -> None:
    whole = [trial.params for trial in run(tmp_path / "whole.sqlite", tiny_llama, 14)]
    file = tmp_path / "killed.sqlite"

    def killed(config: EngineConfig) -> Iterator[list[float]]:
        yield next(savings(config))
        raise KeyboardInterrupt

    for trials in (0, 1, 12):
        run(file, tiny_llama, trials)
        with pytest.raises(KeyboardInterrupt), optuna_ready(file):
            try_next(open_study(file, {"seed": 0}), search_space(tiny_llama), EngineConfig(), killed)
    assert [trial.params for trial in run(file, tiny_llama, 14)] == whole


def test_killed_before_the_default_is_tried_it_is_not_tried_twice(tiny_llama, tmp_path: Path) -> None:
    file = tmp_path / "trials.sqlite"
    with optuna_ready(file):
        open_study(file, {"seed": 0}).enqueue_trial(params_of(EngineConfig()))
    trials = run(file, tiny_llama, 3)
    assert [trial.params == params_of(EngineConfig()) for trial in trials] == [True, False, False]


def test_the_seed_decides_what_is_proposed(tiny_llama, tmp_path: Path) -> None:
    one, same, other = (
        [trial.params for trial in run(tmp_path / f"{name}.sqlite", tiny_llama, 4, seed=seed)]
        for name, seed in (("one", 0), ("same", 0), ("other", 1))
    )
    assert one == same
    assert one[0] == other[0]
    assert one[1:] != other[1:]


def test_settings_survive_being_a_trial() -> None:
    config = EngineConfig(
        picks=7, noise=0.02, lora=LoraConfig(r=4, lora_alpha=8, layers=0.5), train=TrainConfig(lr=0.001, clip=0.3)
    )
    assert config_of(params_of(config), EngineConfig()) == config
    assert config_of({**params_of(config), "lr": 0.00123456}, EngineConfig()).train.lr == 0.00123


def test_the_default_lies_within_the_bounds_and_no_rank_is_above_what_the_model_allows(tiny_model) -> None:
    space, default = search_space(tiny_model), params_of(EngineConfig())
    assert space.keys() == default.keys()
    for name, distribution in space.items():
        assert distribution.to_external_repr(distribution.to_internal_repr(default[name])) == default[name]
        assert (
            getattr(distribution, "low", -math.inf) <= (default[name] or 0) <= getattr(distribution, "high", math.inf)
        )
    LoraConfig(r=space["rank"].high).bind(tiny_model.module)
    with pytest.raises(InputError, match="above the size"):
        LoraConfig(r=space["rank"].high + 1).bind(tiny_model.module)


def test_a_file_of_another_run_is_refused(tiny_llama, tmp_path: Path) -> None:
    file = tmp_path / "trials.sqlite"
    run(file, tiny_llama, 1)
    with pytest.raises(InputError, match=r"trials\.sqlite holds the trials of another run"):
        open_study(file, {"seed": 1})


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("my notes\n" * 200)
    with pytest.raises(StoreError, match="not a database; name another file"), optuna_ready(file):
        open_study(file, {})
    assert file.read_text() == "my notes\n" * 200


def test_a_name_with_signs_that_addresses_use_is_a_name(tiny_llama, tmp_path: Path) -> None:
    file = tmp_path / "new" / "what? 100% #1.sqlite"
    run(file, tiny_llama, 1)
    assert sqlite3.connect(file).execute("SELECT count(*) FROM trials").fetchone() == (1,)


def test_optuna_says_nothing_and_talks_again_afterwards(
    tiny_llama, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = optuna.logging.get_verbosity()
    run(tmp_path / "trials.sqlite", tiny_llama, 2)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_without_optuna_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'whet\[tune\]'"), optuna_ready(tmp_path / "trials"):
        pass


def test_the_scale_of_a_change_does_not_depend_on_its_rank() -> None:
    for rank in (1, 3, 32):
        config = config_of({**params_of(EngineConfig()), "rank": rank}, EngineConfig())
        assert config == replace(EngineConfig(), lora=config.lora)
        assert (config.lora.r, config.lora.scale) == (rank, LoraConfig().scale)
