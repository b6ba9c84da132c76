"""How probable it is that an answer is right, from what its way knows of it.

Logistic regressions, fitted on tasks that nothing else was made with (`benchmarks/arc_confidence.py`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from whet.tasks.arc.grids import Grid

if TYPE_CHECKING:
    from whet.tasks.arc.transduction.reading import Reading

WRITTEN = 0.7
"""Of a program by a language model that reproduces all demonstrations: a guess, no model was at hand to measure."""
AGREED = 0.5
"""Of a grid that a language model finds likeliest in all views: a guess, no model was at hand to measure."""
_CERTAIN = 1e-6
"""Probability of being wrong, below which it is not told apart."""
_LEAST = -5.0
"""Log probability a view, below which all answers are alike."""


def of_program(cost: float, rank: int) -> float:
    """The probability that a program's outputs are right.

    Args:
        cost: of the program.
        rank: its place among the distinct answers of programs, from 0.
    """
    return _logistic("program", program_features(cost, rank))


def of_reading(reading: Reading, answer: Grid) -> float:
    """The probability that an answer of the net is right."""
    return _logistic("reading", reading_features(reading, answer))


def gain(way: str, stage: int) -> float:
    """The share of tasks not solved before that a stage of a way solves, as measured; 1 for what was not measured.

    Args:
        way: its name.
        stage: from 0; of those after the last that was measured, each is taken to gain half of the one before.
    """
    measured = _weights().get(f"gain of {way}", [1.0])
    return measured[stage] if stage < len(measured) else measured[-1] * 0.5 ** (stage + 1 - len(measured))


def program_features(cost: float, rank: int) -> list[float]:
    """What the probability is told from: the cost, and whether other answers are likelier."""
    return [cost, float(rank > 0), float(rank > 1)]


def reading_features(reading: Reading, answer: Grid) -> list[float]:
    """What the probability is told from: the answer's mean log probability a view. Its share of votes adds nothing."""
    return [max(float(reading.scores(answer).mean()), _LEAST)]


def odds_of_either(probabilities: Iterable[float]) -> float:
    """The odds that one of several independent findings is right."""
    none = math.prod(1.0 - p for p in probabilities)
    return (1.0 - none) / max(none, _CERTAIN)


def _logistic(kind: str, features: Sequence[float]) -> float:
    bias, *weights = _weights()[kind]
    return 1.0 / (1.0 + math.exp(-(bias + sum(w * x for w, x in zip(weights, features, strict=True)))))


@lru_cache(maxsize=1)
def _weights() -> dict[str, list[float]]:
    found: dict[str, list[float]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return found
