"""Information density against its formula, every fit from scratch in float64."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from selection_oracle import KINDS, problem, reference_gains

from whet.errors import InputError
from whet.selection import InformationDensity, Vtl

SETTINGS = list(product(KINDS, (16, 64), (0.01, 1.0), (1, 3), (0.5, 1.0, 4.0)))
ROWS, PICKS = 40, 10


def reference_density(candidates: np.ndarray) -> np.ndarray:
    """`(K,)`, the mean over all pairs of (1 + cosine) / 2."""
    rows = candidates.astype(np.float64)
    lengths = np.sqrt((rows**2).sum(axis=1))
    return ((1 + rows @ rows.T / np.outer(lengths, lengths)) / 2).mean(axis=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_picks_are_those_of_fits_from_scratch(dtype: type) -> None:
    different = 0
    for kind, dimensions, noise, targets, beta in SETTINGS:
        candidates, query = (part.astype(dtype) for part in problem(kind, ROWS, dimensions, targets, 3))
        candidates *= np.random.default_rng(0).uniform(0.5, 2, (ROWS, 1)).astype(dtype)
        density = reference_density(candidates) ** beta
        picks = InformationDensity(noise, beta=beta).choose(candidates, query, PICKS).indices.tolist()
        expected = True
        for i, pick in enumerate(picks):
            scores = reference_gains(candidates, query, noise, picks[:i]) * density
            scores[picks[:i]] = -np.inf
            assert scores[pick] >= scores.max() - (1e-5 if dtype is np.float32 else 1e-12)
            expected &= pick == scores.argmax()
        different += not expected
    assert different <= (0.05 * len(SETTINGS) if dtype is np.float32 else 0)


def test_there_are_enough_settings() -> None:
    assert len(SETTINGS) >= 60


@pytest.mark.parametrize("kind", KINDS)
def test_without_density_it_is_vtl(kind: str) -> None:
    candidates, query = problem(kind, ROWS, 16, 2, 0)
    expected = Vtl().choose(candidates, query, PICKS).indices.tolist()
    assert InformationDensity(beta=0).choose(candidates, query, PICKS).indices.tolist() == expected


def test_of_two_that_tell_as_much_the_typical_one_is_taken() -> None:
    query = np.array([1.0, 0.0, 0.0])
    lonely, typical = np.array([0.8, -0.6, 0.0]), np.array([0.8, 0.6, 0.0])
    crowd = np.array([[0.1, 1.0, 0.1], [0.0, 1.0, 0.2], [0.1, 1.0, -0.2]])
    candidates = np.vstack([lonely, typical, crowd])
    assert Vtl().choose(candidates, query, 1).indices.tolist() == [0]
    assert InformationDensity().choose(candidates, query, 1).indices.tolist() == [1]


@pytest.mark.parametrize("beta", [0.5, 3.0])
@pytest.mark.filterwarnings("error")
def test_opposite_candidates_and_a_single_one_have_a_density(beta: float) -> None:
    candidates = np.array([[1.0, 0.0]] + [[-1.0, 0.0]] * 20)
    assert len(InformationDensity(beta=beta).choose(candidates, np.array([1.0, 0.0]), 21).indices) == 21
    assert InformationDensity(beta=beta).choose(candidates[:1], np.array([1.0, 0.0]), 1).indices.tolist() == [0]


@pytest.mark.parametrize("beta", [-0.1, float("nan"), float("inf")])
def test_beta_is_a_number_of_at_least_nought(beta: float) -> None:
    with pytest.raises(InputError, match="beta="):
        InformationDensity(beta=beta)


def test_many_queries_at_once_are_chosen_for_exactly_as_alone() -> None:
    data = [problem(kind, 30, 16, 3, seed) for kind in KINDS for seed in range(2)]
    data += [problem("cap", 30, 16, 1, 2), problem("cap", 200, 16, 3, 3)]
    for dtype in (np.float32, np.float64):
        pairs = [(c.astype(dtype), q.astype(dtype)) for c, q in data]
        together = InformationDensity(0.05).choose_many(*zip(*pairs, strict=True), 10)
        for pair, choice in zip(pairs, together, strict=True):
            alone = InformationDensity(0.05).choose(*pair, 10)
            assert choice.indices.tolist() == alone.indices.tolist()
            np.testing.assert_array_equal(choice.variances, alone.variances)
            np.testing.assert_array_equal(choice.gains, alone.gains)


def test_torch_tensors_get_the_same_picks() -> None:
    import torch

    pairs = [problem(kind, ROWS, 16, 3, 4) for kind in KINDS]
    tensors = [tuple(map(torch.from_numpy, pair)) for pair in pairs]
    together = InformationDensity(0.05, beta=2.5).choose_many(*zip(*tensors, strict=True), 10)
    for pair, choice in zip(pairs, together, strict=True):
        assert choice.indices.tolist() == InformationDensity(0.05, beta=2.5).choose(*pair, 10).indices.tolist()
