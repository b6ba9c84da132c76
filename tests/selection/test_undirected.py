"""Undirected ITL, undirected VTL and uncertainty sampling against fits from scratch in float64, and activeft."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from selection_oracle import KINDS, problem

from whet.selection import Constraints, UncertaintySampling, UndirectedItl, UndirectedVtl, Vtl

CRITERIA = [UndirectedItl, UndirectedVtl, UncertaintySampling]
SETTINGS = list(product(KINDS, (16, 64), (0.01, 0.1, 1.0), (1, 3), range(2)))
ROWS, PICKS = 40, 10


def scaled_problem(kind: str, rows: int, dimensions: int, targets: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A problem whose candidates are of lengths from 0.5 to 2: unit vectors would all tie at first."""
    candidates, query = problem(kind, rows, dimensions, targets, seed)
    return candidates * np.random.default_rng(seed).uniform(0.5, 2, (rows, 1)), query


def fit(candidates: np.ndarray, noise: float, picks: list[int]) -> np.ndarray:
    """`(K, K)`, covariance of the candidates after `picks`."""
    rows = candidates.astype(np.float64)
    seen = rows[picks]
    inverse = np.linalg.inv(seen @ seen.T + noise * np.eye(len(picks)))
    return rows @ rows.T - rows @ seen.T @ inverse @ seen @ rows.T


def reference_itl(candidates: np.ndarray, noise: float, picks: list[int]) -> np.ndarray:
    """By how much log det(I + K(X, X) / λ) / 2 rises with each candidate."""
    rows = candidates.astype(np.float64)
    kernel = np.eye(len(rows)) + rows @ rows.T / noise
    sets = np.array([[*picks, x] for x in range(len(rows))])
    together = np.linalg.slogdet(kernel[sets[:, :, None], sets[:, None]])[1]
    return (together - np.linalg.slogdet(kernel[np.ix_(picks, picks)])[1]) / 2


def reference_vtl(candidates: np.ndarray, noise: float, picks: list[int]) -> np.ndarray:
    """By how much the trace of the candidates' covariance falls with each candidate."""
    covariance = fit(candidates, noise, picks)
    return np.array([row @ row / (row[x] + noise) for x, row in enumerate(covariance)])


def reference_uncertainty(candidates: np.ndarray, noise: float, picks: list[int]) -> np.ndarray:  # noqa: ARG001
    return np.linalg.norm(candidates.astype(np.float64), axis=1) ** 2


REFERENCES: dict[type, Callable[..., np.ndarray]] = {
    UndirectedItl: reference_itl,
    UndirectedVtl: reference_vtl,
    UncertaintySampling: reference_uncertainty,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_picks_are_those_of_fits_from_scratch(criterion: type, dtype: type) -> None:
    different = 0
    for kind, dimensions, noise, targets, seed in SETTINGS:
        candidates, query = (part.astype(dtype) for part in scaled_problem(kind, ROWS, dimensions, targets, seed))
        picks = criterion(noise).choose(candidates, query, PICKS).indices.tolist()
        expected = True
        for i, pick in enumerate(picks):
            scores = REFERENCES[criterion](candidates, noise, picks[:i])
            scores[picks[:i]] = -np.inf
            assert scores[pick] >= scores.max() * (1 - (2e-5 if dtype is np.float32 else 2e-12))
            expected &= pick == scores.argmax()
        different += not expected
    assert different <= (0.05 * len(SETTINGS) if dtype is np.float32 else 0)


def test_there_are_enough_settings() -> None:
    assert len(SETTINGS) >= 60


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_query_does_not_matter(criterion: type) -> None:
    candidates, query = scaled_problem("cap", ROWS, 16, 1, 0)
    picks = [criterion().choose(candidates, q, PICKS).indices.tolist() for q in (query, -3 * query[:, ::-1])]
    assert picks[0] == picks[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unit_vectors_all_have_the_same_prior_variance_and_come_in_order(dtype: type) -> None:
    for kind, dimensions, seed in product(KINDS, (3, 64, 300), range(3)):
        candidates, query = (part.astype(dtype) for part in problem(kind, ROWS, dimensions, 1, seed))
        assert UncertaintySampling().choose(candidates, query, PICKS).indices.tolist() == list(range(PICKS))
        assert UndirectedItl().choose(candidates, query, PICKS).indices[0] == 0


def test_uncertainty_sampling_takes_the_longest_vectors_and_learns_nothing_from_them() -> None:
    candidates = np.array([[1.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.0, 2.0], [0.0, -2.5]])
    assert UncertaintySampling().choose(candidates, np.ones(2), 5).indices.tolist() == [1, 2, 4, 3, 0]


def test_undirected_itl_weighs_variance_against_each_candidates_noise() -> None:
    candidates = np.diag([1.0, 2.0, 3.0])
    limits = Constraints(noise=[0.01, 0.1, 10.0])
    assert UndirectedItl().choose(candidates, np.ones(3), 3, constraints=limits).indices.tolist() == [0, 1, 2]
    assert UndirectedItl().choose(candidates, np.ones(3), 3).indices.tolist() == [2, 1, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_undirected_vtl_is_vtl_with_the_candidates_as_targets(kind: str) -> None:
    candidates, query = scaled_problem(kind, 30, 16, 1, 0)
    for n in (5, 10):  # with the kernel of all candidates at once, and as needed
        undirected = UndirectedVtl(0.1).choose(candidates, query, n).indices.tolist()
        assert undirected == Vtl(0.1).choose(candidates, candidates, n).indices.tolist()


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.filterwarnings("error")
def test_nothing_breaks_when_hardly_anything_is_left_to_know(criterion: type) -> None:
    candidates, query = problem("near-duplicates", 30, 3, 1, 0)
    assert len(criterion(2e-13, replace=True).choose(candidates, query, 60).indices) == 60


@pytest.mark.parametrize("criterion", CRITERIA)
def test_many_queries_at_once_are_chosen_for_exactly_as_alone(criterion: type) -> None:
    data = [scaled_problem(kind, 30, 16, 3, seed) for kind in KINDS for seed in range(2)]
    data += [problem("cap", 30, 16, 1, 2), problem("cap", 200, 16, 3, 3)]
    for dtype in (np.float32, np.float64):
        pairs = [(c.astype(dtype), q.astype(dtype)) for c, q in data]
        together = criterion(0.05).choose_many(*zip(*pairs, strict=True), 10)
        for pair, choice in zip(pairs, together, strict=True):
            alone = criterion(0.05).choose(*pair, 10)
            assert choice.indices.tolist() == alone.indices.tolist()
            np.testing.assert_allclose(choice.variances, alone.variances, rtol=0, atol=1e-14)
            np.testing.assert_allclose(choice.gains, alone.gains, rtol=0, atol=1e-14)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("data", [problem, scaled_problem])
def test_torch_tensors_get_the_same_picks(criterion: type, data: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    import torch

    pairs = [data(kind, ROWS, 16, 3, 4) for kind in KINDS]
    tensors = [tuple(map(torch.from_numpy, pair)) for pair in pairs]
    together = criterion(0.05).choose_many(*zip(*tensors, strict=True), 10)
    for pair, choice in zip(pairs, together, strict=True):
        assert choice.indices.tolist() == criterion(0.05).choose(*pair, 10).indices.tolist()


@pytest.mark.parametrize("kind", ["cap", "clustered", "isotropic"])
@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0])
def test_same_picks_as_activeft(kind: str, noise: float) -> None:
    pytest.importorskip("activeft")
    import torch
    from activeft.acquisition_functions.undirected_itl import UndirectedITL
    from activeft.acquisition_functions.undirected_vtl import UndirectedVTL

    class InnerProduct(torch.nn.Module):  # a model with a kernel is computed with in float64
        def __init__(self) -> None:
            super().__init__()
            self.device = torch.nn.Parameter(torch.zeros(1))

        def kernel(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a @ b.T

    candidates, query = scaled_problem(kind, 60, 32, 1, 1)
    for ours, theirs in ((UndirectedItl, UndirectedITL), (UndirectedVtl, UndirectedVTL)):
        function = theirs(noise_std=float(np.sqrt(noise)))
        expected, _ = function.select_from_minibatch(10, InnerProduct(), torch.from_numpy(candidates), None)
        assert ours(noise, replace=True).choose(candidates, query, 10).indices.tolist() == [int(i) for i in expected]
