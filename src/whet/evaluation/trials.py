"""Trials of settings: what is tuned, and the study that proposes settings and keeps what came of them, with Optuna."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.adaptation.targets import ALL_LINEAR, find_targets
from whet.config import EngineConfig
from whet.errors import InputError, MissingExtraError, StoreError
from whet.models import LanguageModel

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

Savings = Callable[[EngineConfig], Iterator[list[float]]]
"""What settings save on each query, a few queries at a time."""


def search_space(model: LanguageModel) -> dict[str, BaseDistribution]:
    """What is tuned, and between which bounds: around the default, as far as other values are of use."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    modules = find_targets(model.module, ALL_LINEAR).values()
    largest = min(min(module.get_parameter("weight").shape) for module in modules)  # no rank above it exists
    return {
        "lr": FloatDistribution(3e-4, 3e-2, log=True),
        "rank": IntDistribution(1, min(32, largest), log=True),
        "picks": IntDistribution(5, 50, log=True),
        "noise": FloatDistribution(0.01, 1.0, log=True),
        "layers": FloatDistribution(0.25, 1.0, step=0.25),
        "clip": CategoricalDistribution((None, 1.0, 0.3)),
    }


def params_of(config: EngineConfig) -> dict[str, Any]:
    """The settings as a trial has them."""
    return {
        "lr": config.train.lr,
        "rank": config.lora.r,
        "picks": config.picks,
        "noise": config.noise,
        "layers": 1.0 if config.lora.layers is None else config.lora.layers,
        "clip": config.train.clip,
    }


def config_of(params: Mapping[str, Any], default: EngineConfig) -> EngineConfig:
    """The reverse, to three digits; the scale of the adapter's change stays that of the default whatever its rank."""
    rank, layers = params["rank"], params["layers"]
    alpha = default.lora.lora_alpha / default.lora.r * rank
    return replace(
        default,
        picks=params["picks"],
        noise=_rounded(params["noise"]),
        lora=replace(default.lora, r=rank, lora_alpha=alpha, layers=None if layers == 1 else layers),
        train=replace(default.train, lr=_rounded(params["lr"]), clip=params["clip"]),
    )


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


@contextmanager
def optuna_ready(file: Path) -> Iterator[None]:
    """Optuna without its own log lines, and its errors about a file as ours."""
    try:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise MissingExtraError("tuning needs Optuna: `pip install 'whet[tune]'`.") from error
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise StoreError(
            f"the trials {str(file)!r} cannot be read or written: {reason}; name another file, or check the disk, and "
            "the same command goes on."
        ) from error
    finally:
        optuna.logging.set_verbosity(before)


def open_study(file: Path, description: Mapping[str, Any]) -> Study:
    """The study in a file, begun if it is not there."""
    import optuna
    from sqlalchemy import URL

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{str(file.parent)!r} cannot be made: {error.strerror}; name another folder.") from error
    study = optuna.create_study(
        storage=optuna.storages.RDBStorage(URL.create("sqlite", database=str(file)).render_as_string()),
        study_name="whet tune",
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(),
        load_if_exists=True,
    )
    if not study.user_attrs:
        study.set_user_attr("run", description)
    if study.user_attrs["run"] != description:
        raise InputError(
            f"{file} holds the trials of another run (another model or seed, other queries, or a memory that "
            "has changed since); name another file, or remove it to begin anew."
        )
    return study


def ended_trials(study: Study) -> list[FrozenTrial]:
    """Trials that came to their end, in order; those of runs that were killed did not."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def try_next(study: Study, space: dict[str, BaseDistribution], default: EngineConfig, savings: Savings) -> None:
    """One trial more.

    What is reported on the way is an estimate of the final mean: the mean of the default settings, and the mean
    difference to them on the queries so far. A mean of these queries alone would judge by how hard they are.
    """
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    ended = ended_trials(study)
    # Made anew for each trial, so that a run that goes on proposes what it would have proposed.
    seed = int(np.random.SeedSequence((default.seed, len(ended))).generate_state(1)[0])
    study.sampler = TPESampler(seed=seed, constant_liar=False)
    if not ended and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.enqueue_trial(params_of(default))
    usual = ended[0].user_attrs["saved"] if ended else None
    trial, saved = study.ask(space), []
    for group in savings(config_of(trial.params, default)):
        saved += group
        if usual is not None:
            trial.report(float(np.mean(usual) + np.mean(np.subtract(saved, usual[: len(saved)]))), len(saved))
            if len(saved) < len(usual) and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                return
    trial.set_user_attr("saved", saved)
    study.tell(trial, float(np.mean(saved)))
