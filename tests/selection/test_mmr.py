"""Maximal marginal relevance against its definition, written with loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from selection_oracle import KINDS, problem

from whet.errors import InputError
from whet.selection import Mmr, Nearest

SETTINGS = list(product(KINDS, (1, 3), (0.0, 0.3, 0.5, 0.9, 1.0), (0, 1)))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def reference_mmr(candidates: np.ndarray, query: np.ndarray, weight: float, n: int) -> list[int]:
    """The picks, one comparison at a time; scores within rounding of one another go to the lowest index."""
    relevance = [sum(cosine(x, q) for q in query) / len(query) for x in candidates]
    picks = [int(np.argmax(relevance))]
    while len(picks) < n:
        best, best_score = -1, -np.inf
        for i, x in enumerate(candidates):
            if i not in picks:
                score = weight * relevance[i] - (1 - weight) * max(cosine(x, candidates[j]) for j in picks)
                if score > best_score + 1e-14:
                    best, best_score = i, score
        picks.append(best)
    return picks


@pytest.mark.parametrize(("kind", "targets", "weight", "seed"), SETTINGS)
def test_same_picks_as_the_definition(kind: str, targets: int, weight: float, seed: int) -> None:
    candidates, query = problem(kind, 25, 8, targets, seed)
    lengths = np.random.default_rng(seed).uniform(0.5, 2, (25, 1))  # cosines do not mind them
    picks = Mmr(relevance=weight).choose(candidates * lengths, query, 8).indices.tolist()
    assert picks == reference_mmr(candidates * lengths, query, weight, 8)


def test_a_copy_of_a_pick_waits_for_something_else() -> None:
    candidates = np.array([[1.0, 0.1], [1.0, 0.1], [0.8, -0.6]])
    assert Mmr().choose(candidates, np.array([1.0, 0.0]), 3).indices.tolist() == [0, 2, 1]


def test_equal_scores_go_to_the_lowest_index() -> None:
    candidates = np.array([[0.0, 1.0], [1.0, 0.3], [1.0, 0.3], [1.0, 0.3]])
    assert Mmr().choose(candidates, np.array([1.0, 0.0]), 4).indices.tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize(("dimensions", "dtype"), product((3, 17, 384), (np.float32, np.float64)))
def test_many_copies_go_by_index(dimensions: int, dtype: type) -> None:
    rows, query = problem("isotropic", 1, dimensions, 2, 0)
    candidates = np.repeat(rows, 101, axis=0).astype(dtype)
    assert Mmr().choose(candidates, query.astype(dtype), 5).indices.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_with_all_weight_on_relevance_it_is_nearest(kind: str) -> None:
    candidates, query = problem(kind, 60, 16, 2, 3)
    nearest = Nearest().choose(candidates, query, 20).indices.tolist()
    assert Mmr(relevance=1).choose(candidates, query, 20).indices.tolist() == nearest


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_refuses_a_weight_out_of_range(weight: float) -> None:
    with pytest.raises(InputError, match=f"relevance={weight}: give a weight between 0 and 1"):
        Mmr(relevance=weight)
