"""TypiClust against its definition, written with loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from selection_oracle import KINDS, problem

from whet.selection import Constraints, TypiClust, typiclust
from whet.selection.typiclust import ClusterTurns, neighbour_distance

SETTINGS = list(product(KINDS, (1, 3, 8, 30), range(3)))


def reference_distance(rows: np.ndarray, i: int) -> float:
    """Mean distance of a row to the 20 nearest others, or all."""
    others = sorted(float(np.sqrt(np.square(rows[i] - rows[j]).sum())) for j in range(len(rows)) if j != i)[:20]
    return sum(others) / len(others) if others else 0.0


def reference_typiclust(rows: np.ndarray, clusters: np.ndarray, n: int) -> list[int]:
    """The picks, one at a time, for given clusters."""
    members = [np.flatnonzero(clusters == c).tolist() for c in sorted(set(clusters.tolist()))]
    members.sort(key=lambda own: (-len(own), own[0]))
    for own in members:
        typical = {i: round(reference_distance(rows[own], place), 12) for place, i in enumerate(own)}
        own.sort(key=lambda i: (typical[i], i))
    turns = [own[turn] for turn in range(max(map(len, members))) for own in members if turn < len(own)]
    return turns[:n]


def blobs(sizes: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows in clusters far apart, in random order, and their clusters."""
    rng = np.random.default_rng(seed)
    clusters = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return 10 * np.eye(len(sizes), 12)[clusters] + 0.1 * rng.standard_normal((len(clusters), 12)), clusters


@pytest.mark.parametrize(("kind", "n", "seed"), SETTINGS)
def test_same_picks_as_the_definition(kind: str, n: int, seed: int) -> None:
    from sklearn.cluster import KMeans

    candidates, query = problem(kind, 60, 8, 1, seed)
    clusters = KMeans(n, n_init=1, random_state=0).fit_predict(candidates)
    picks = TypiClust().choose(candidates, query, n).indices.tolist()
    assert picks == reference_typiclust(candidates, clusters, n)


@pytest.mark.parametrize("seed", range(5))
def test_takes_the_most_typical_of_clusters_that_are_plain_to_see_the_largest_first(seed: int) -> None:
    candidates, clusters = blobs([3, 40, 1, 12, 25], seed)
    picks = TypiClust().choose(candidates, np.ones(12), 5).indices.tolist()
    assert [int(clusters[i]) for i in picks] == [1, 4, 3, 0, 2]
    assert picks == reference_typiclust(candidates, clusters, 5)


def test_of_copies_and_equals_the_lowest_index_is_most_typical() -> None:
    candidates = np.array([[5.0, 0.0], [1.0, 0.0], [1.0, 0.0], [5.0, 0.1], [1.0, 0.0], [5.0, 0.2]])
    assert TypiClust().choose(candidates, np.ones(2), 2).indices.tolist() == [3, 1]


@pytest.mark.filterwarnings("error")
def test_fewer_distinct_candidates_than_picks_are_taken_in_turn() -> None:
    candidates = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert TypiClust().choose(candidates, np.ones(2), 5).indices.tolist() == [1, 0, 2, 3, 4]


def test_what_the_constraints_rule_out_is_replaced_from_its_cluster() -> None:
    candidates, clusters = blobs([10, 20, 30], 0)
    free = TypiClust().choose(candidates, np.ones(12), 3).indices.tolist()
    limits = Constraints(exclude=[free[1]])
    bound = TypiClust().choose(candidates, np.ones(12), 3, constraints=limits).indices.tolist()
    assert [bound[0], bound[2]] == [free[0], free[2]]
    assert bound[1] != free[1]
    assert clusters[bound[1]] == clusters[free[1]]


@pytest.mark.parametrize(("kind", "size"), product(KINDS, (1, 2, 15, 21, 60)))
def test_neighbour_distances_are_those_of_the_definition(kind: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = problem(kind, size, 8, 1, 4)
    rows = np.concatenate([rows, rows[: size // 4]])  # with copies
    expected = [reference_distance(rows, i) for i in range(len(rows))]
    np.testing.assert_allclose(neighbour_distance(rows), expected, atol=1e-14)
    monkeypatch.setattr(typiclust, "BLOCK", 300)
    np.testing.assert_allclose(neighbour_distance(rows), expected, atol=1e-14)


def test_turns_go_round_the_clusters() -> None:
    turns = ClusterTurns(np.array([0, 1, 1, 0, 1]), np.array([0.5, 0.3, 0.2, 0.1, 0.2]))
    order = []
    left = np.ones(5, bool)
    for _ in range(5):
        order.append(int(np.where(left, turns.scores(), -np.inf).argmax()))
        left[order[-1]] = False
        turns.take(order[-1])
    assert order == [2, 3, 4, 0, 1]
