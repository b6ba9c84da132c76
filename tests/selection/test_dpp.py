"""The determinantal point process against determinants of every extended set, in float64."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_oracle import KINDS, problem

from whet.errors import InputError
from whet.selection import Dpp, Nearest

SETTINGS = list(product(KINDS, (16, 64), (0.0, 1.0, 5.0, 50.0), (1, 3)))
ROWS, PICKS = 40, 10


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return a @ b.T / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))


def log_dets(candidates: np.ndarray, query: np.ndarray, theta: float, picks: list[int]) -> np.ndarray:
    """`(K,)`, logarithm of the determinant of the kernel of `picks` and each candidate; -inf for what is picked."""
    quality = np.exp(theta * (1 + cosine(candidates, query).mean(axis=1)) / 2)
    kernel = quality[:, None] * (1 + cosine(candidates, candidates)) / 2 * quality
    sets = np.array([[*picks, x] for x in range(len(candidates))])
    values = np.linalg.slogdet(kernel[sets[:, :, None], sets[:, None]])[1]
    values[picks] = -np.inf
    return values


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_picks_are_those_of_trying_every_candidate(dtype: type) -> None:
    for kind, dimensions, theta, targets in SETTINGS:
        candidates, query = (part.astype(dtype) for part in problem(kind, ROWS, dimensions, targets, 1))
        candidates *= np.random.default_rng(0).uniform(0.5, 2, (ROWS, 1)).astype(dtype)
        picks = Dpp(theta=theta).choose(candidates, query, PICKS).indices.tolist()
        for i, pick in enumerate(picks):
            values = log_dets(candidates, query, theta, picks[:i])
            assert values[pick] >= values.max() - 1e-8, (kind, dimensions, theta, targets, i)


def test_there_are_enough_settings() -> None:
    assert len(SETTINGS) >= 60


def test_relevance_alone_is_the_nearest_and_diversity_alone_does_not_ask_the_query() -> None:
    candidates, query = problem("near-duplicates", ROWS, 16, 1, 0)
    assert Dpp(theta=1e6).choose(candidates, query, 5).indices.tolist() == (
        Nearest().choose(candidates, query, 5).indices.tolist()
    )
    assert Dpp(theta=0).choose(candidates, query, 5).indices.tolist() == (
        Dpp(theta=0).choose(candidates, -query, 5).indices.tolist()
    )


def test_a_copy_of_what_is_taken_comes_after_everything_else() -> None:
    candidates = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    assert Dpp().choose(candidates, np.array([1.0, 0.1, 0.0]), 4).indices.tolist() == [0, 2, 3, 1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_beyond_the_rank_of_the_kernel_the_rest_goes_by_relevance(kind: str, dtype: type) -> None:
    candidates, query = (part.astype(dtype) for part in problem(kind, ROWS, 4, 1, 0))
    picks = Dpp().choose(candidates, query, ROWS).indices.tolist()
    assert sorted(picks) == list(range(ROWS))
    rest = picks[5:]  # in four dimensions the rank is five
    assert (np.diff(cosine(candidates, query)[rest, 0]) <= 1e-12).all()


def test_ties_go_to_the_lowest_index() -> None:
    candidates = np.eye(4)
    assert Dpp().choose(candidates, np.ones(4), 4).indices.tolist() == [0, 1, 2, 3]


@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(0, 100))
@settings(max_examples=40, deadline=None)
def test_a_longer_choice_begins_with_the_shorter_one(kind: str, seed: int, n: int, theta: float) -> None:
    candidates, query = problem(kind, 20, 6, 1, seed)
    full = Dpp(theta=theta).choose(candidates, query, 20).indices.tolist()
    assert Dpp(theta=theta).choose(candidates, query, n).indices.tolist() == full[:n]


def test_many_queries_are_chosen_for_exactly_as_alone() -> None:
    data = [problem(kind, rows, 16, targets, 0) for kind, rows, targets in product(KINDS, (30, 50), (1, 3))]
    for (candidates, query), choice in zip(data, Dpp().choose_many(*zip(*data, strict=True), 10), strict=True):
        alone = Dpp().choose(candidates, query, 10)
        assert choice.indices.tolist() == alone.indices.tolist()
        assert choice.variances.tolist() == alone.variances.tolist()
        assert choice.gains.tolist() == alone.gains.tolist()


@pytest.mark.parametrize("theta", [-1.0, float("nan"), float("inf")])
def test_theta_is_a_number_of_at_least_nought(theta: float) -> None:
    with pytest.raises(InputError, match="theta="):
        Dpp(theta=theta)
