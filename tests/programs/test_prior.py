"""The prior: features of demonstrations, what they shift, and that it changes the order only."""

from __future__ import annotations

import json
from importlib.resources import files
from itertools import islice

import numpy as np
import pytest

from whet.programs.limits import Meter
from whet.programs.prior import FEATURES, LARGEST, SHARE, features, shifts
from whet.programs.registry import PRIMITIVES
from whet.programs.search import enumerate_states, key_of

INPUTS = [np.array([[0, 1, 2], [0, 0, 1]], np.uint8), np.array([[3, 0, 3], [1, 1, 0]], np.uint8)]


def grid(*rows):
    return np.array([[int(cell) for cell in row] for row in rows], np.uint8)


def holding(*pairs):
    return {name for name, holds in zip(FEATURES, features(pairs), strict=True) if holds}


CASES = [
    (grid("010", "300"), grid("010", "003"), {"same size", "same counts", "mostly empty", "no new colour"}),
    (grid("012", "345"), grid("12", "45"), {"smaller", "part of the input", "tiny output", "fewer colours"}),
    (grid("12", "34"), grid("1221", "3443"), {"multiple", "input part of it", "symmetric output", "nothing empty"}),
    (grid("1122"), grid("12"), {"fraction", "smaller"}),
    (grid("101", "000", "101"), grid("101", "020", "101"), {"only empty cells change", "few cells change"}),
    (grid("101", "000", "101"), grid("202", "000", "202"), {"no empty cell changes", "one colour", "symmetric input"}),
    (grid("1020", "3333", "1020"), grid("1"), {"lines across", "tiny output"}),
    (grid("12", "34"), grid("12", "34"), {"square input", "many colours"}),
    (grid("10201", "00000", "10201"), grid("12345", "12345"), {"many components"}),
]


@pytest.mark.parametrize(("before", "after", "expected"), CASES)
def test_features_say_what_can_be_seen(before, after, expected):
    assert expected <= holding((before, after))


def test_every_feature_is_seen_and_missed_in_some_case():
    table = np.array([features([(before, after)]) for before, after, _ in CASES])
    assert table.any(axis=0).all()
    assert not table.all(axis=0).any()


def test_a_feature_of_a_task_holds_of_all_demonstrations():
    both = [(before, after) for before, after, _ in CASES[:2]]
    assert holding(*both) == holding(both[0]) & holding(both[1])


def test_shifts_are_the_evidence_of_the_file_within_bounds():
    learnt = json.loads((files("whet.programs") / "prior.json").read_text(encoding="utf-8"))
    assert list(learnt["features"]) == list(FEATURES)
    assert learnt["weights"].keys() <= PRIMITIVES.keys()
    pairs = [(before, after) for before, after, _ in CASES[2:4]]
    holds = features(pairs)
    for name, shift in shifts(pairs).items():
        evidence = 0.0
        for feature, weight in enumerate(learnt["weights"][name]):
            evidence += weight * (float(holds[feature]) - list(learnt["features"].values())[feature])
        assert shift == pytest.approx(max(-LARGEST, min(LARGEST, -SHARE * evidence)))


def test_what_makes_small_parts_is_likelier_where_outputs_are_parts():
    part = shifts([(grid("00000", "01200", "03400", "00000"), grid("12", "34"))])
    large = shifts([(grid("12", "34"), grid("1221", "3443", "3443", "1221"))])
    assert part["crop"] < large["crop"]
    assert part["mirror"] > large["mirror"]


def test_shifts_change_the_order_and_leave_costs():
    plain = {str(s.expression): s for s in islice(enumerate_states(INPUTS, [1], Meter(60)), 600)}
    shifted = list(islice(enumerate_states(INPUTS, [1], Meter(60), shifts={"mirror": -1.0, "crop": 1.0}), 600))
    assert [state.order for state in shifted] == sorted(state.order for state in shifted)
    assert [state.cost for state in shifted] != sorted(state.cost for state in shifted)
    common = [state for state in shifted if str(state.expression) in plain]
    assert len(common) > 200
    assert all(state.cost == pytest.approx(plain[str(state.expression)].cost) for state in common)
    assert all(state.order == pytest.approx(state.cost) for state in plain.values())


def test_a_behaviour_comes_again_only_for_less():
    costs = {}
    for state in islice(enumerate_states(INPUTS, [1], Meter(60), shifts={"turn": 1.5, "mirror": -1.5}), 2000):
        mark = key_of(state.values)
        assert state.cost < costs.get(mark, np.inf)
        costs[mark] = state.cost
