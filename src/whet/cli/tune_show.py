"""What came of tuning as a person reads it, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from whet.evaluation import Tuned
from whet.evaluation.trials import params_of
from whet.evaluation.tuning import Saved, Tried

_NAMES = {
    "lr": "learning rate",
    "rank": "rank",
    "picks": "picks",
    "noise": "noise λ",
    "layers": "share of layers",
    "clip": "clip gradients at",
}


def tuned_json(tuned: Tuned) -> str:
    """All that was found, as JSON."""
    return json.dumps({**asdict(tuned), "verdict": tuned.verdict()}, indent=2)


def print_tuned(tuned: Tuned) -> None:
    """Print the settings, and what they save on the two halves of the held-out texts."""
    console = Console(highlight=False)
    pruned = sum(trial.pruned for trial in tuned.trials)
    console.print(
        f"{len(tuned.trials)} trials ({pruned} ended early) on {tuned.queries[0]} texts; reported on "
        f"{tuned.queries[1]} others.\n"
    )
    console.print(_settings(tuned), "")
    console.print(_savings(tuned), "")
    console.print(tuned.verdict())


def _tried(tuned: Tuned) -> list[tuple[str, Tried]]:
    """The settings that are compared, once if the default is the best."""
    both = [("default", tuned.default), ("best", tuned.best)]
    return both if tuned.best.config != tuned.default.config else both[:1]


def _settings(tuned: Tuned) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("settings")
    for name, _ in _tried(tuned):
        table.add_column(name, justify="right")
    values = [params_of(tried.config) for _, tried in _tried(tuned)]
    for name, words in _NAMES.items():
        table.add_row(words, *("none" if each[name] is None else f"{each[name]:g}" for each in values))
    return table


def _savings(tuned: Tuned) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("bits saved, % of base", "tuning half", "reporting half", "95 % interval"):
        table.add_column(name, justify="left" if name.startswith("bits") else "right")
    for name, tried in _tried(tuned):
        table.add_row(
            name, f"{100 * tried.tuning.mean:.1f}", f"{100 * tried.reporting.mean:.1f}", _interval(tried.reporting)
        )
    if len(_tried(tuned)) > 1:
        tuning = tuned.best.tuning.mean - tuned.default.tuning.mean
        table.add_row("best − default", _signed(tuning), _signed(tuned.gain.mean), _interval(tuned.gain, signed=True))
    return table


def _interval(saved: Saved, *, signed: bool = False) -> str:
    low, high = (_signed(end) if signed else f"{100 * end:.1f}" for end in saved.ci95)
    return f"{low} to {high}".replace("-", "−")


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")
