"""Core-set against its definition, exhaustive search and activeft."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from selection_oracle import KINDS, problem

from whet.selection import CoreSet, Nearest

SETTINGS = list(product(KINDS, (1, 3), range(5)))


def distances(rows: np.ndarray) -> np.ndarray:
    return np.array([[np.sqrt(np.square(a - b).sum()) for b in rows] for a in rows])


def reference_coreset(rows: np.ndarray, first: int, n: int) -> list[int]:
    """The picks by their definition."""
    apart = distances(rows)
    picks = [first]
    while len(picks) < n:
        left = [i for i in range(len(rows)) if i not in picks]
        picks.append(max(left, key=lambda i: min(apart[i, j] for j in picks)))  # the first of equal ones
    return picks


@pytest.mark.parametrize(("kind", "targets", "seed"), SETTINGS)
def test_same_picks_as_the_definition(kind: str, targets: int, seed: int) -> None:
    candidates, query = problem(kind, 30, 8, targets, seed)
    candidates = candidates * np.random.default_rng(seed).uniform(0.5, 2, (30, 1))
    first = int(Nearest().choose(candidates, query, 1).indices[0])
    assert CoreSet().choose(candidates, query, 12).indices.tolist() == reference_coreset(candidates, first, 12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_leaves_at_most_twice_the_smallest_possible_distance(kind: str, n: int, seed: int) -> None:
    candidates, query = problem(kind, 10, 3, 1, seed)
    apart = distances(candidates)

    def radius(picks: tuple[int, ...]) -> float:
        return float(apart[:, list(picks)].min(axis=1).max())

    smallest = min(radius(picks) for picks in combinations(range(10), n))
    assert radius(tuple(CoreSet().choose(candidates, query, n).indices.tolist())) <= 2 * smallest + 1e-12


def test_goes_to_the_far_ends_of_a_line() -> None:
    candidates = np.array([[1.0, -4.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 6.0]])
    assert CoreSet().choose(candidates, np.array([1.0, 0.0]), 5).indices.tolist() == [1, 4, 0, 3, 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_come_last_and_by_index(dtype: type) -> None:
    rows, query = problem("isotropic", 6, 12, 1, 0)
    candidates = np.concatenate([rows, rows, rows]).astype(dtype)
    picks = CoreSet().choose(candidates, query.astype(dtype), 18).indices.tolist()
    assert {pick % 6 for pick in picks[:6]} == set(range(6))
    assert picks[6:] == sorted(picks[6:])


@pytest.mark.parametrize(("dimensions", "dtype"), product((3, 17, 384), (np.float32, np.float64)))
def test_the_first_of_many_copies_is_the_lowest_index(dimensions: int, dtype: type) -> None:
    rows, query = problem("isotropic", 1, dimensions, 2, 0)
    candidates = np.repeat(rows, 101, axis=0).astype(dtype)
    assert CoreSet().choose(candidates, query.astype(dtype), 5).indices.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("kind", "seed"), product(KINDS, range(3)))
def test_same_picks_as_activeft_from_the_same_first(kind: str, seed: int) -> None:
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("activeft.acquisition_functions.max_dist").MaxDist()
    candidates, query = problem(kind, 60, 16, 1, seed)
    ours = CoreSet().choose(candidates, query, 20).indices.tolist()
    state = peer.initialize(None, torch.from_numpy(candidates), None)
    for i, pick in enumerate(ours):
        if i:
            assert int(peer.compute(state).argmax()) == pick
        state = peer.step(state, pick)
