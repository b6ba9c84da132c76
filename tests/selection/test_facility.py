"""Facility location against its value for every extended set, and against the best set of all."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from selection_oracle import KINDS, problem

from whet.selection import FacilityLocation

SETTINGS = list(product(KINDS, (16, 64), (1, 3), range(4)))
ROWS, PICKS = 40, 10


def value(candidates: np.ndarray, query: np.ndarray, picks: list[int]) -> float:
    """Weighted by relevance, how similar each candidate is to the one of the picks that is most like it."""
    rows, targets = (
        part / np.linalg.norm(part, axis=1, keepdims=True) for part in (candidates.astype(float), query.astype(float))
    )
    weights = np.maximum((rows @ targets.T).mean(axis=1), 0)
    return float(sum(w * max((1 + t @ rows[x]) / 2 for x in picks) for t, w in zip(rows, weights, strict=True)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_picks_are_those_of_trying_every_candidate(dtype: type) -> None:
    for kind, dimensions, targets, seed in SETTINGS:
        candidates, query = (part.astype(dtype) for part in problem(kind, ROWS, dimensions, targets, seed))
        candidates *= np.random.default_rng(0).uniform(0.5, 2, (ROWS, 1)).astype(dtype)
        rows = candidates.astype(float) / np.linalg.norm(candidates.astype(float), axis=1, keepdims=True)
        similarity = (1 + rows @ rows.T) / 2
        unit = query.astype(float) / np.linalg.norm(query.astype(float), axis=1, keepdims=True)
        weights = np.maximum((rows @ unit.T).mean(axis=1), 0)
        picks = FacilityLocation().choose(candidates, query, PICKS).indices.tolist()
        for i, pick in enumerate(picks):
            values = np.array([weights @ similarity[:, [*picks[:i], x]].max(axis=1) for x in range(ROWS)])
            values[picks[:i]] = -np.inf
            assert values[pick] >= values.max() - 1e-10, (kind, dimensions, targets, seed, i)


def test_there_are_enough_settings() -> None:
    assert len(SETTINGS) >= 60


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_greedy_set_is_worth_at_least_63_percent_of_the_best_one(kind: str, n: int) -> None:
    for seed in range(3):
        candidates, query = problem(kind, 9, 4, 1, seed)
        picks = FacilityLocation().choose(candidates, query, n).indices.tolist()
        best = max(value(candidates, query, list(chosen)) for chosen in combinations(range(9), n))
        assert value(candidates, query, picks) >= (1 - 1 / np.e) * best
        if n == 1:
            assert value(candidates, query, picks) == pytest.approx(best)


def test_every_relevant_cluster_is_represented_before_any_is_again() -> None:
    centres = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.6, 0.0, 0.8], [-1.0, 0.0, 0.0]])
    near = 0.01 * np.random.default_rng(0).standard_normal((40, 3))
    picks = FacilityLocation().choose(np.repeat(centres, 10, axis=0) + near, np.array([1.0, 0.3, 0.3]), 3).indices
    assert sorted(picks // 10) == [0, 1, 2]  # the last one points away from the query


def test_once_all_is_represented_the_rest_comes_in_order() -> None:
    candidates = np.repeat(problem("cap", 5, 8, 1, 0)[0], 4, axis=0)
    picks = FacilityLocation().choose(candidates, problem("cap", 5, 8, 1, 0)[1], 20).indices.tolist()
    assert sorted(pick // 4 for pick in picks[:5]) == [0, 1, 2, 3, 4]
    assert picks[5:] == sorted(picks[5:])


def test_where_nothing_is_relevant_candidates_come_in_order() -> None:
    assert FacilityLocation().choose(-np.eye(3), np.ones(3), 3).indices.tolist() == [0, 1, 2]


def test_many_queries_are_chosen_for_exactly_as_alone() -> None:
    data = [problem(kind, rows, 16, targets, 0) for kind, rows, targets in product(KINDS, (30, 50), (1, 3))]
    together = FacilityLocation().choose_many(*zip(*data, strict=True), 10)
    for (candidates, query), choice in zip(data, together, strict=True):
        alone = FacilityLocation().choose(candidates, query, 10)
        assert choice.indices.tolist() == alone.indices.tolist()
        assert choice.variances.tolist() == alone.variances.tolist()
        assert choice.gains.tolist() == alone.gains.tolist()
