"""Probabilities of being right."""

from __future__ import annotations

import numpy as np
import pytest

from whet.tasks.arc import as_grid
from whet.tasks.arc.confidence import odds_of_either, of_program, of_reading
from whet.tasks.arc.transduction.reading import Reading


def reading(first: float, second: float) -> Reading:
    """Two views of one cell, each with so much probability for colour 3 and the rest for colour 4."""
    cells = np.full((2, 1, 1, 10), -np.inf, np.float32)
    for view, p in enumerate((first, second)):
        cells[view, 0, 0, 3:5] = np.log([p, 1 - p])
    return Reading(("identity", "rot90"), cells)


def test_a_dearer_program_and_one_of_lower_rank_are_less_likely() -> None:
    told = [of_program(4.0, 0), of_program(9.0, 0), of_program(9.0, 1), of_program(30.0, 2)]
    assert told == sorted(told, reverse=True)
    assert 0 < told[-1] < told[0] < 1


def test_an_answer_that_more_views_give_is_likelier() -> None:
    three = as_grid([[3]])
    assert of_reading(reading(0.9, 0.9), three) > of_reading(reading(0.9, 0.4), three)
    assert of_reading(reading(0.9, 0.4), three) > of_reading(reading(0.1, 0.1), three)


def test_an_answer_that_no_view_allows_has_a_probability_too() -> None:
    assert 0 < of_reading(reading(0.9, 0.9), as_grid([[7]])) < of_reading(reading(0.9, 0.9), as_grid([[4]]))


def test_odds_of_either() -> None:
    assert odds_of_either([0.5]) == pytest.approx(1.0)
    assert odds_of_either([0.5, 0.5]) == pytest.approx(3.0)
    assert odds_of_either([]) == 0.0
    assert np.isfinite(odds_of_either([1.0]))
