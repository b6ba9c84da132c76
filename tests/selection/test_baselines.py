"""Nearest neighbours, random choice and the nearest repeated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from selection_oracle import KINDS, problem

from whet.errors import InputError
from whet.selection import Nearest, Random, Repeat


def test_nearest_takes_descending_cosines_whatever_the_lengths() -> None:
    candidates = np.array([[9.0, 9.0], [0.1, 0.0], [-1.0, 0.0], [3.0, 1.0]])
    assert Nearest().choose(candidates, np.array([2.0, 0.0]), 4).indices.tolist() == [1, 3, 0, 2]


def test_nearest_gives_equal_cosines_to_the_lowest_index() -> None:
    candidates = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert Nearest().choose(candidates, np.array([1.0, 0.0]), 4).indices.tolist() == [1, 2, 3, 0]


def test_nearest_of_several_query_rows_goes_by_the_mean_cosine() -> None:
    candidates = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    query = np.array([[5.0, 0.0], [0.0, 0.1]])
    assert Nearest().choose(candidates, query, 1).indices.tolist() == [2]


@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_random_draws_without_replacement_and_again_the_same(kind: str, seed: int, n: int) -> None:
    candidates, query = problem(kind, 30, 8, 1, seed)
    picks = Random(seed=7).choose(candidates, query, n).indices.tolist()
    assert len(set(picks)) == n
    assert picks == Random(seed=7).choose(candidates, query, n).indices.tolist()


def test_random_draws_differ_between_seeds_and_between_queries() -> None:
    candidates, query = problem("cap", 200, 16, 2, 0)
    draws = [Random(seed=seed).choose(candidates, query[row], 20).indices.tolist() for seed in (0, 1) for row in (0, 1)]
    assert len({tuple(draw) for draw in draws}) == 4


def test_random_draws_are_uniform() -> None:
    candidates, _ = problem("cap", 10, 4, 1, 0)
    queries = np.random.default_rng(0).standard_normal((2000, 4))
    firsts = [int(Random().choose(candidates, query, 1).indices[0]) for query in queries]
    assert np.bincount(firsts, minlength=10).min() > 150  # 200 are expected, with a standard deviation of 13


def test_random_refuses_a_negative_seed() -> None:
    with pytest.raises(InputError, match="seed=-1"):
        Random(seed=-1)


def test_repeat_picks_the_nearest_again_and_again() -> None:
    candidates, query = problem("clustered", 50, 16, 1, 0)
    nearest = Nearest().choose(candidates, query, 1).indices[0]
    assert Repeat().choose(candidates, query, 60).indices.tolist() == [nearest] * 60


@pytest.mark.parametrize("selector", [Nearest(), Random()])
def test_without_replacement_there_are_at_most_as_many_picks_as_candidates(selector: Nearest | Random) -> None:
    candidates, query = problem("cap", 5, 4, 1, 0)
    assert len(selector.choose(candidates, query, 5).indices) == 5
    with pytest.raises(InputError, match=r"n=6 picks, .* there are 5"):
        selector.choose(candidates, query, 6)
