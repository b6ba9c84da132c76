"""Kernel herding against its definition, and what it does to the maximum mean discrepancy."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from selection_oracle import KINDS, problem

from whet.selection import Constraints, Herding, Random, herding
from whet.selection.kernels import LINEAR, Kernel


@dataclass(frozen=True)
class Gaussian:
    """exp(−‖a − b‖² / 2)."""

    def __call__(self, a: np.ndarray, b: np.ndarray, /) -> np.ndarray:
        return np.exp(-np.square(a[..., :, None, :] - b[..., None, :, :]).sum(axis=-1) / 2)

    def diagonal(self, a: np.ndarray, /) -> np.ndarray:
        return np.ones(a.shape[:-1])


KERNELS: dict[str, Kernel] = {"linear": LINEAR, "gaussian": Gaussian()}
SETTINGS = list(product(KINDS, KERNELS, range(5)))


def reference_herding(gram: np.ndarray, n: int) -> list[int]:
    """The picks by their definition; scores within rounding of one another go to the lowest index."""
    picks: list[int] = []
    while len(picks) < n:
        best, best_score = -1, -np.inf
        for i in range(len(gram)):
            if i not in picks:
                mean = sum(gram[i]) / len(gram)
                score = mean - sum(gram[i, j] for j in picks) / (len(picks) + 1)
                if score > best_score + 1e-14:
                    best, best_score = i, score
        picks.append(best)
    return picks


def squared_mmd(gram: np.ndarray, picks: list[int]) -> float:
    """Between the picks and all candidates."""
    return float(gram.mean() - 2 * gram[picks].mean() + gram[np.ix_(picks, picks)].mean())


@pytest.mark.parametrize(("kind", "kernel", "seed"), SETTINGS)
def test_same_picks_as_the_definition(kind: str, kernel: str, seed: int) -> None:
    candidates, query = problem(kind, 25, 8, 1, seed)
    if kernel == "linear":
        candidates = candidates * np.random.default_rng(seed).uniform(0.5, 2, (25, 1))
    gram = KERNELS[kernel](candidates, candidates)
    assert Herding(kernel=KERNELS[kernel]).choose(candidates, query, 10).indices.tolist() == reference_herding(gram, 10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_each_pick_of_unit_vectors_makes_the_discrepancy_smallest(kind: str, kernel: str) -> None:
    candidates, query = problem(kind, 30, 8, 1, 0)
    gram = KERNELS[kernel](candidates, candidates)
    picks = Herding(kernel=KERNELS[kernel]).choose(candidates, query, 12).indices.tolist()
    for i, pick in enumerate(picks):
        reachable = [squared_mmd(gram, [*picks[:i], other]) for other in range(30) if other not in picks[:i]]
        assert squared_mmd(gram, [*picks[:i], pick]) == pytest.approx(min(reachable), abs=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_stands_for_the_candidates_better_than_a_random_draw(kind: str) -> None:
    candidates, query = problem(kind, 200, 16, 1, 1)
    gram = candidates @ candidates.T
    chosen = squared_mmd(gram, Herding().choose(candidates, query, 20).indices.tolist())
    drawn = [squared_mmd(gram, Random(seed=s).choose(candidates, query, 20).indices.tolist()) for s in range(20)]
    assert chosen < min(drawn)


def test_the_first_is_the_most_similar_to_all_and_ties_go_to_the_lowest_index() -> None:
    candidates = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert Herding().choose(candidates, np.array([5.0, 1.0]), 4).indices.tolist() == [0, 1, 2, 3]


def test_may_repeat_picks_where_the_constraints_say_so() -> None:
    candidates = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 0.1]])
    picks = Herding().choose(candidates, np.ones(2), 6, constraints=Constraints(repeats=6)).indices.tolist()
    assert len(set(picks)) < 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_computed_in_blocks_gives_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, query = problem(kind, 40, 8, 1, 2)
    whole = Herding(kernel=Gaussian()).choose(candidates, query, 15).indices.tolist()
    monkeypatch.setattr(herding, "BLOCK", 100)
    assert Herding(kernel=Gaussian()).choose(candidates, query, 15).indices.tolist() == whole
