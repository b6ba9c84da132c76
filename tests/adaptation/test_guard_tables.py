"""The numbers that benchmarks/guard_textmix.py reports, from records made by hand."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whet.adaptation.guard import Gain, GuardConfig
from whet.adaptation.guard.witness import measure_gain

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from guard_tables import decided, goals


def record(gains: list[Gain], bits: list[float], *, base: float = 2.0, condition: str = "flipped") -> dict[str, Any]:
    """A case with a state of the adapter for each gain; the last one answers without the guard."""
    states = [
        {"step": 10 * (i + 1), "gain": asdict(gain), "canary": 0.0, "safety": None, "kl": 0.0, "bits": after}
        for i, (gain, after) in enumerate(zip(gains, bits, strict=True))
    ]
    return {
        "id": f"{condition} {bits}",
        "condition": condition,
        "base": base,
        "guardless": bits[-1],
        "confidence": 0.95,
        "states": states,
    }


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_decisions_at_another_confidence_are_those_of_the_bound_at_that_confidence(confidence: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        before = rng.uniform(1, 4, size=20)
        after = before - rng.normal(0.05, 0.15, size=20)
        case = record([measure_gain(list(before), list(after), 0.95)], [1.9])
        bound = measure_gain(list(before), list(after), confidence).least
        found = decided(case, GuardConfig(gain=0.01, confidence=confidence))
        assert found["status"] == ("kept" if bound >= 0.01 else "rolled_back")


def test_the_state_with_the_largest_sure_gain_answers() -> None:
    small, large = Gain(2.0, 1.8, 0.1, 0.05), Gain(2.0, 1.6, 0.2, 0.1)
    back = decided(record([large, small], [1.7, 1.9]), GuardConfig(confidence=0.95))
    assert (back["status"], back["guarded"]) == ("stepped_back", 1.7)
    kept = decided(record([small, large], [1.9, 1.7]), GuardConfig(confidence=0.95))
    assert (kept["status"], kept["guarded"]) == ("kept", 1.7)


def test_harm_left_counts_cases_that_harm_without_the_guard_and_gain_is_that_of_good_picks() -> None:
    sure, unsure = Gain(2.0, 1.0, 0.5, 0.4), Gain(2.0, 2.0, 0.0, -0.1)
    cases = [
        record([sure], [2.5]),  # harm that the guard lets through
        record([unsure], [2.6]),
        record([unsure], [2.7], condition="poisoned"),
        record([sure], [1.0]),  # no harm
        record([sure], [1.0], condition="good"),
        record([unsure], [1.5], base=3.0, condition="good"),  # a gain that is given up
    ]
    found = goals([decided(case, GuardConfig()) for case in cases])
    assert (found["left"], found["harmful"]) == (1, 3)
    assert found["harm_left"]["value"] == pytest.approx(1 / 3)
    assert found["gain_kept"]["value"] == pytest.approx(1 / 2.5)
    assert found["gain_kept_of_percentages"]["value"] == pytest.approx(0.5)
