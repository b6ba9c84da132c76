"""SIFT against activeft 0.1.1, where that one is right: one thread, distinct vectors, at most 1000 of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from selection_oracle import KINDS, problem, reference_gains, reference_variance

from whet.selection import Choice, Sift

faiss = pytest.importorskip("faiss")
pytest.importorskip("activeft")

CASES = list(product(KINDS, ((100, 32), (400, 64)), (0.01, 0.1, 1.0), (1, 3)))


def activeft(candidates: np.ndarray, query: np.ndarray, noise: float, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Its picks, and what it reports of each: minus the targets' summed variance after it."""
    import torch
    from activeft.acquisition_functions.vtl import VTL
    from activeft.sift import Retriever

    torch.set_num_threads(1)
    index = faiss.IndexFlatIP(candidates.shape[1])
    index.add(candidates)
    in_process = VTL(target=torch.Tensor(), noise_std=float(np.sqrt(noise)), num_workers=0)  # else it forks a worker
    values, picks, _, _ = Retriever(index, in_process).search(query, N=n, K=k, threads=1)
    return picks, values


def single(kind: str, rows: int, dimensions: int, targets: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    candidates, query = problem(kind, rows, dimensions, targets, seed)
    return candidates.astype(np.float32), query.astype(np.float32)


@pytest.mark.parametrize(("kind", "shape", "noise", "targets"), CASES)
def test_same_picks_as_activeft(kind: str, shape: tuple[int, int], noise: float, targets: int) -> None:
    candidates, query = single(kind, *shape, targets, seed=1)
    theirs, values = activeft(candidates, query, noise, 15, len(candidates))
    choice = Sift(noise).choose(candidates, query, 15)
    for i, (ours, other) in enumerate(zip(choice.indices, theirs, strict=True)):
        if ours != other:  # the peer compares variances in float32, which cannot tell small gains apart
            gains = reference_gains(candidates, query, noise, choice.indices[:i].tolist())
            assert gains[ours] == pytest.approx(gains[other], abs=1e-6 * targets)
            return
    np.testing.assert_allclose(choice.variances[1:], -values / targets, atol=1e-5)


@pytest.mark.parametrize(("kind", "shape", "noise", "targets"), CASES)
def test_no_pick_is_worse_than_that_of_activeft(kind: str, shape: tuple[int, int], noise: float, targets: int) -> None:
    candidates, query = single(kind, *shape, targets, seed=2)
    theirs, _ = activeft(candidates, query, noise, 15, len(candidates))
    ours = Sift(noise).choose(candidates, query, 15).indices.tolist()

    def short(picks: list[int], i: int) -> float:
        """By how much a pick misses the best, after those before it."""
        gains = reference_gains(candidates, query, noise, picks[:i])
        return float((gains.max() - gains[picks[i]]) / np.square(query).sum())

    assert max(short(ours, i) for i in range(15)) < 1e-7
    assert max(short(theirs.tolist(), i) for i in range(15)) < 1e-6
    left = [reference_variance(candidates, query, noise, picks) for picks in (ours, theirs.tolist())]
    assert left[0] == pytest.approx(left[1], abs=1e-5)


@pytest.mark.parametrize(("rows", "dimensions", "n"), [(200, 384, 50), (1000, 128, 10)])
def test_same_picks_at_the_sizes_that_it_is_made_for(rows: int, dimensions: int, n: int) -> None:
    candidates, query = single("cap", rows, dimensions, 1, seed=3)
    theirs, _ = activeft(candidates, query, 0.01, n, rows)
    assert Sift(0.01).choose(candidates, query, n).indices.tolist() == theirs.tolist()


def test_same_picks_for_many_queries_at_once_each_from_what_its_search_found() -> None:
    memory, _ = single("clustered", 300, 32, 1, seed=4)
    queries = [0.6 * memory[i : i + 1] + 0.4 * memory[i + 1 : i + 2] for i in range(0, 20, 2)]
    found = [np.sort(np.abs(memory @ q[0]).argsort()[-60:]) for q in queries]  # it looks for the opposite, too
    choices: list[Choice] = Sift(0.1).choose_many([memory[rows] for rows in found], queries, 10)
    for query, rows, choice in zip(queries, found, choices, strict=True):
        theirs, _ = activeft(memory, query, 0.1, 10, k=60)
        assert rows[choice.indices].tolist() == theirs.tolist()
