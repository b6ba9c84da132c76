"""Which of the programs that fit is believed."""

from __future__ import annotations

import numpy as np
import pytest

from whet.programs.candidates import Candidate
from whet.programs.expressions import INPUT
from whet.programs.induce import ranked
from whet.programs.plausible import NEW_COLOUR, UNCHANGED, UNIFORM, surprise

ONE, TWO, THREE = (np.array([[colour, 0]], np.uint8) for colour in (1, 2, 3))


def candidate(cost, *predictions):
    return Candidate(INPUT, cost, list(predictions), "search")


def test_predictions_come_once_in_the_order_of_their_cheapest_programs():
    out = ranked([candidate(3, ONE), candidate(2, TWO), candidate(9, ONE), candidate(1, THREE)])
    assert [one.cost for one in out] == [1, 2, 3]


def test_programs_that_agree_outweigh_one_that_is_a_little_cheaper():
    out = ranked([candidate(2.0, TWO), *[candidate(2.5, ONE)] * 3])
    assert [one.predictions[0][0, 0] for one in out] == [1, 2]
    assert out[0].cost == 2.5


@pytest.mark.parametrize(
    ("prediction", "cost"),
    [([[1, 2]], 0.0), ([[3, 1]], UNCHANGED), ([[1, 1]], UNIFORM), ([[7, 1]], NEW_COLOUR), ([[7, 7]], 8.0)],
)
def test_what_no_training_output_shows_is_a_surprise(prediction, cost):
    train = [(np.array([[2, 1]], np.uint8), np.array([[1, 2]], np.uint8))]
    assert surprise(train, [np.array([[3, 1]], np.uint8)], [np.array(prediction, np.uint8)]) == cost


def test_what_a_training_output_shows_is_none():
    same = np.array([[1, 1]], np.uint8)
    assert surprise([(same, same)], [same], [same]) == 0.0
