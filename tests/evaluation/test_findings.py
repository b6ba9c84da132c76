"""Sentences say what the figures say, also when that is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from whet.evaluation import Record, Row, summarise
from whet.evaluation.findings import against, difference, phases, signed, verdicts


def row(method: str, percent: float, interval: tuple[float, float] | None, picks: int = 20) -> Row:
    return Row(
        "all", "halves", method, picks, percent / 50, percent, (percent, percent), percent / 50 - 2, interval, 9, {}
    )


BASE = row("base", 100.0, (0.0, 0.0), picks=0)


def test_methods_are_sorted_by_what_their_interval_allows_to_say() -> None:
    rows = [BASE, row("sift(0.1)", 80, (-0.5, -0.3)), row("nearest", 99, (-0.1, 0.1)), row("repeat", 130, (0.4, 0.8))]
    best, better, worse, unclear = verdicts(rows)
    assert best == "Fewest bits per byte: sift(0.1) with 1.600, 80.0% of the base, over 9 queries."
    assert better.startswith("Better")
    assert better.endswith(": sift(0.1) at 80.0%.")
    assert worse.startswith("Worse")
    assert worse.endswith(": repeat at 130.0%.")
    assert "fewer than 6 queries): nearest at 99.0%." in unclear


def test_it_is_said_when_nothing_beats_the_base() -> None:
    first, second = verdicts([BASE, row("sift(0.1)", 104, (0.01, 0.2))])
    assert first == "No method has fewer bits per byte than the base model (2.000)."
    assert second.startswith("Worse")
    assert verdicts([BASE]) == ["Only the base model was measured."]


def test_an_unknown_interval_allows_nothing_to_be_said() -> None:
    assert "fewer than 6 queries" in verdicts([BASE, row("sift(0.1)", 50, None)])[1]
    assert difference(row("sift(0.1)", 50, None)) == "−1.000"


def test_numbers_of_picks_are_named_where_there_are_several() -> None:
    sentences = verdicts([BASE, row("sift(0.1)", 80, (-1, -0.1), picks=10), row("sift(0.1)", 70, (-1, -0.1), picks=50)])
    assert "sift(0.1), 50 picks at 70.0% and sift(0.1), 10 picks at 80.0%" in sentences[1]


@pytest.mark.parametrize(("shift", "word"), [(-0.2, "fewer"), (0.2, "more"), (0.0, "cannot be told from")])
def test_two_methods_are_compared_query_by_query(shift: float, word: str) -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(3, 1, 40)  # far more spread between queries than between methods
    records = [Record(i, "g", "halves", "base", 0, 9.0, None) for i in range(40)]
    noise = rng.normal(0, 0.05, 40)
    noise -= noise.mean()
    records += [Record(i, "g", "halves", "nearest", 5, level[i], 0.5) for i in range(40)]
    records += [Record(i, "g", "halves", "sift(0.1)", 5, level[i] + shift + noise[i], 0.5) for i in range(40)]
    sentence = against(records, "sift(0.1)", "nearest")
    assert sentence.startswith("sift(0.1)")
    assert word in sentence
    assert f"{signed(shift)} (" in sentence or shift == 0
    assert "over 40 queries" in sentence
    assert summarise(records)  # the records themselves are as they were


def test_phases_come_in_the_order_of_the_loop() -> None:
    assert phases([{"score": 1}, {"train": 1, "embed": 1, "dream": 1}]) == ["embed", "train", "score", "dream"]
