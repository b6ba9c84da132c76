"""Finding better settings for a model and a memory: Bayesian optimisation with Optuna on texts held out of the memory.

A trial is a set of settings; its value is the share of bits that adapters with these settings save on the texts that
are tuned on. The best trial is compared with the default settings on other texts: on those that it was chosen by, the
best of many trials looks better than it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.adaptation import Trainer
from whet.config import EngineConfig
from whet.decoding import score_many, score_text
from whet.engine import Engine
from whet.errors import InputError
from whet.evaluation.held_out import HeldOut, hold_out
from whet.evaluation.summary import RESAMPLES
from whet.evaluation.trials import config_of, ended_trials, open_study, optuna_ready, search_space, try_next
from whet.memory import Memory
from whet.models import LanguageModel

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_TOGETHER = 4
"""Queries that are trained in one bank; after each such group a trial may end early."""

_MANY = 10
"""Texts from which on a bootstrap interval is about as wide as it should be."""


@dataclass(frozen=True)
class Saved:
    """A mean over queries of the share of the base model's bits that adapters save.

    Attributes:
        mean: 0.1 is a tenth of the bits.
        ci95: its 95 % bootstrap interval (percentile, resampling queries).
    """

    mean: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Tried:
    """Settings, and what they save on the two halves of the held-out texts."""

    config: EngineConfig
    tuning: Saved
    reporting: Saved


@dataclass(frozen=True)
class Trial:
    """One set of settings that was tried.

    Attributes:
        settings: by the names of what is tuned.
        saved: mean share of bits saved on the tuning half; where the trial was ended early, what it was expected to be.
        pruned: whether it was ended early.
    """

    settings: Mapping[str, Any]
    saved: float
    pruned: bool


@dataclass(frozen=True)
class Tuned:
    """What came of tuning.

    Attributes:
        default: the settings that whet has by itself.
        best: those that save most on the tuning half.
        gain: share saved by the best less share saved by the default on the reporting half, paired by query.
        queries: how many there are in the tuning half and in the reporting half.
        trials: in their order; the first is that of the default settings.
    """

    default: Tried
    best: Tried
    gain: Saved
    queries: tuple[int, int]
    trials: tuple[Trial, ...]

    def verdict(self) -> str:
        """What the reporting half says about the best settings, in words."""
        if self.best.config == self.default.config:
            return "No trial saves more on the tuning half than the default settings; more trials may find one."
        few = ""
        if self.queries[1] < _MANY:
            few = f" Of so few texts ({self.queries[1]}) the interval is too narrow: ask for more queries to be sure."
        low, high = self.gain.ci95
        if low > 0:
            return f"On the reporting half, too, the best settings save more than the default.{few}"
        if high < 0:
            return f"On the reporting half the best settings save less than the default: keep the default.{few}"
        return (
            "On the reporting half the best settings cannot be told from the default, since the interval includes 0; "
            "more queries may tell them apart."
        )


def tune(
    model: LanguageModel,
    memory: Memory,
    *,
    file: Path,
    trials: int = 30,
    queries: int = 24,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Tuned:
    """Try settings until there are so many trials, and compare the best with the default.

    The default settings are the first trial. The others are proposed by TPE (Bergstra et al. 2011, Algorithms for
    Hyper-Parameter Optimization, §4) and ended early by the median rule (Golovin et al. 2017, Google Vizier, §3.2.2).
    The memory is searched with the first half of a text, an adapter is trained on all picks without a guard, and the
    second half is scored after the first.

    Args:
        model: the base model.
        memory: what is learnt from, and where the texts come from.
        file: where the trials are, in SQLite; a later call goes on with them, and one that is killed loses one trial.
        trials: how many there shall be, those of earlier calls among them.
        queries: how many texts are held out in all; see `hold_out`.
        seed: of the draw of texts, of the proposals, and of the adapters' first weights.
        progress: told how many trials there are so far.

    Raises:
        MissingExtraError: Optuna is not installed.
        InputError: there are not so many texts, or the file holds the trials of another run.
        StoreError: the file is no database, or cannot be written.
    """
    if trials < 1:
        raise InputError(f"trials={trials}: give at least 1; the first is that of the default settings.")
    default = EngineConfig(seed=seed)
    with optuna_ready(file):
        halves = hold_out(memory, queries, candidates=default.candidates, seed=seed)
        space = search_space(model)
        study = open_study(file, _description(model, memory, default, halves, space))
        tuning = _Savings(model, memory, halves[0])
        for done in range(len(ended_trials(study)), trials):
            if progress:
                progress(done)
            try_next(study, space, default, tuning.groups)
        if progress:
            progress(trials)
        ended, best = ended_trials(study), study.best_trial
    configs = default, config_of(best.params, default)
    reporting = _Savings(model, memory, halves[1])
    there = [reporting.all(config) for config in dict.fromkeys(configs)]
    tried = [
        Tried(config, _mean(trial.user_attrs["saved"]), _mean(saved))
        for config, trial, saved in zip(configs, (ended[0], best), (there[0], there[-1]), strict=True)
    ]
    return Tuned(
        default=tried[0],
        best=tried[1],
        gain=_mean(np.subtract(there[-1], there[0])),
        queries=(len(halves[0]), len(halves[1])),
        trials=tuple(Trial(t.params, t.values[0], t.state.name == "PRUNED") for t in ended),
    )


class _Savings:
    """What adapters with given settings save on some queries."""

    def __init__(self, model: LanguageModel, memory: Memory, queries: Sequence[HeldOut]) -> None:
        self.model, self.memory, self.queries = model, memory, queries
        self._base = [score_text(model, held.target, given=held.given).nats for held in queries]

    def all(self, config: EngineConfig) -> list[float]:
        """Of each query the share of the base model's bits that is saved."""
        return [share for group in self.groups(config) for share in group]

    def groups(self, config: EngineConfig) -> Iterator[list[float]]:
        """The same, a few queries at a time.

        An adapter that needs more than twice the bits counts as one that needs twice: how far a training run went
        astray says nothing about settings.
        """
        from whet.adaptation import AdapterBank

        engine = Engine(self.model, self.memory, config)
        bank = AdapterBank(self.model.module, config.lora, slots=min(_TOGETHER, len(self.queries)))
        trainer = Trainer(self.model, bank, config.train)
        for begin in range(0, len(self.queries), _TOGETHER):
            group = self.queries[begin : begin + _TOGETHER]
            slots = range(len(group))
            for slot in slots:
                bank.reset(slot, seed=config.seed)
            trainer.run({slot: engine.pick(group[slot].candidates).examples for slot in slots})
            texts, given = [held.target for held in group], [held.given for held in group]
            scores = score_many(self.model, texts, given=given, bank=bank, slots=slots)
            shares = [1 - score.nats / base for score, base in zip(scores, self._base[begin:], strict=False)]
            yield [share if share > -1 else -1.0 for share in shares]  # not a number counts as -1, too


def _description(
    model: LanguageModel,
    memory: Memory,
    default: EngineConfig,
    halves: Sequence[Sequence[HeldOut]],
    space: Mapping[str, BaseDistribution],
) -> dict[str, Any]:
    """What all trials of one study have in common."""
    return {
        "model": model.fingerprint,
        "memory": hashlib.blake2b("".join(memory.vectors[0]).encode(), digest_size=16).hexdigest(),
        "default": default.recipe(),
        "queries": [[held.id for held in half] for half in halves],
        "space": repr(space),
    }


def _mean(shares: Sequence[float] | np.ndarray) -> Saved:
    from scipy.stats import bootstrap

    found = bootstrap(
        (np.asarray(shares),), np.mean, vectorized=True, n_resamples=RESAMPLES, method="percentile", rng=0
    ).confidence_interval
    return Saved(float(np.mean(shares)), (float(found.low), float(found.high)))
