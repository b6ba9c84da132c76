"""ITL, noiseless ITL, MM-ITL and CTL against entropies of fits from scratch in float64, and against activeft."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_oracle import KINDS, problem

from whet.selection import BayesianLinear, Constraints, Ctl, Itl, MmItl, NoiselessItl, Posterior, Vtl

CRITERIA = [Itl, NoiselessItl, MmItl, Ctl]
SETTINGS = list(product(KINDS, (16, 64), (0.01, 0.1, 1.0), (1, 2, 5), range(2)))
ROWS, PICKS = 40, 10


def fit(candidates: np.ndarray, query: np.ndarray, noise: float, picks: list[int]) -> tuple[np.ndarray, ...]:
    """Covariance of the candidates `(K, K)`, with the targets `(K, m)`, and of the targets, after `picks`."""
    seen = candidates[picks].astype(np.float64)
    both = np.vstack([candidates, query]).astype(np.float64)
    inverse = np.linalg.inv(seen @ seen.T + noise * np.eye(len(picks)))
    joint = both @ both.T - both @ seen.T @ inverse @ seen @ both.T
    k = len(candidates)
    return joint[:k, :k], joint[:k, k:], joint[k:, k:]


def entropy_drop(before: np.ndarray, across: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """`(K,)`, nats by which the entropy of a Gaussian falls, by its covariance before and after each observation."""
    after = before - across[:, :, None] * across[:, None] / observed[:, None, None]
    return (np.linalg.slogdet(before)[1] - np.linalg.slogdet(after)[1]) / 2


def reference_itl(rows: np.ndarray, query: np.ndarray, noise: float, picks: list[int]) -> np.ndarray:
    own, across, targets = fit(rows, query, noise, picks)
    return entropy_drop(targets + noise * np.eye(len(targets)), across, np.diag(own) + noise)


def reference_noiseless(rows: np.ndarray, query: np.ndarray, noise: float, picks: list[int]) -> np.ndarray:
    own, across, targets = fit(rows, query, noise, picks)
    return entropy_drop(targets, across, np.diag(own) + noise)


def reference_mm_itl(rows: np.ndarray, query: np.ndarray, noise: float, picks: list[int]) -> np.ndarray:
    own, across, targets = fit(rows, query, noise, picks)
    each = [
        entropy_drop(targets[a : a + 1, a : a + 1], across[:, a : a + 1], np.diag(own) + noise)
        for a in range(len(targets))
    ]
    return np.mean(each, axis=0)


def reference_ctl(rows: np.ndarray, query: np.ndarray, noise: float, picks: list[int]) -> np.ndarray:
    own, across, targets = fit(rows, query, noise, picks)
    return np.mean(across / np.sqrt(np.outer(np.diag(own), np.diag(targets))), axis=1)


REFERENCES: dict[type, Callable[..., np.ndarray]] = {
    Itl: reference_itl,
    NoiselessItl: reference_noiseless,
    MmItl: reference_mm_itl,
    Ctl: reference_ctl,
}


def posterior(candidates: np.ndarray, query: np.ndarray, noise: float) -> Posterior:
    return Posterior(candidates[None], query[None], noise, 1, [BayesianLinear(noise)])


def worst_loss(criterion: type, dtype: type, replace: bool) -> tuple[float, int]:
    """By how much a pick's reference score is below the best one, at most; and in how many settings picks differ."""
    worst, different = 0.0, 0
    for kind, dimensions, noise, targets, seed in SETTINGS:
        candidates, query = (part.astype(dtype) for part in problem(kind, ROWS, dimensions, targets, seed))
        picks = criterion(noise, replace).choose(candidates, query, PICKS).indices.tolist()
        expected = True
        for i, pick in enumerate(picks):
            scores = REFERENCES[criterion](candidates, query, noise, picks[:i])
            if not replace:
                scores[picks[:i]] = -np.inf
            worst = max(worst, scores.max() - scores[pick])
            expected &= pick == scores.argmax()
        different += not expected
    return worst, different


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_float64_picks_are_those_of_fits_from_scratch(criterion: type, replace: bool) -> None:
    worst, different = worst_loss(criterion, np.float64, replace)
    assert worst <= 1e-11
    assert different == 0


@pytest.mark.parametrize("criterion", CRITERIA)
def test_float32_picks_differ_from_float64_at_near_ties_only(criterion: type) -> None:
    worst, different = worst_loss(criterion, np.float32, replace=False)
    assert worst <= 1e-4
    assert different <= 0.05 * len(SETTINGS)


def test_there_are_enough_settings() -> None:
    assert len(SETTINGS) >= 60


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("targets", [1, 4])
def test_scores_are_nats_and_correlations(criterion: type, targets: int) -> None:
    candidates, query = problem("clustered", ROWS, 16, targets, 9)
    state = posterior(candidates, query, 0.05)
    state.observe(state.effect(7))
    expected = REFERENCES[criterion](candidates, query, 0.05, [7])
    np.testing.assert_allclose(criterion(0.05).score(state)[0], expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("criterion", [Itl, NoiselessItl, MmItl])
def test_tiny_gains_keep_their_digits_in_float32(criterion: type) -> None:
    angles = np.logspace(-1, -6, 30)  # information of 1e-3 to 1e-13 nats
    candidates = np.stack([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
    query = np.array([[1.0, 0.0]], np.float32)
    scores = criterion(1.0).score(posterior(candidates, query, 1.0))[0]
    assert scores.dtype == np.float32
    exact = -np.log1p(-np.square(candidates[:, 0].astype(np.float64)) / 2 / (2 if criterion is Itl else 1)) / 2
    np.testing.assert_allclose(scores, exact, rtol=1e-6)
    assert (np.diff(scores) < 0).all()


@pytest.mark.parametrize("criterion", [Itl, NoiselessItl, MmItl])
def test_for_one_target_information_orders_candidates_as_the_variance_does(criterion: type) -> None:
    for kind, dimensions, noise, _, seed in SETTINGS:
        candidates, query = problem(kind, ROWS, dimensions, 1, seed)
        expected = Vtl(noise).choose(candidates, query, PICKS).indices.tolist()
        assert criterion(noise).choose(candidates, query, PICKS).indices.tolist() == expected


def test_with_noise_of_its_own_for_each_candidate_one_target_is_still_learnt_in_the_same_order() -> None:
    candidates, query = problem("cap", ROWS, 16, 1, 0)
    limits = Constraints(noise=np.random.default_rng(0).uniform(0.01, 2, ROWS))
    expected = Vtl(0.1).choose(candidates, query, PICKS, constraints=limits).indices.tolist()
    for criterion in (Itl, NoiselessItl, MmItl):
        assert criterion(0.1).choose(candidates, query, PICKS, constraints=limits).indices.tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_noise_targets_that_determine_one_another_count_once(dtype: type) -> None:
    for kind, seed in product(KINDS, range(3)):
        candidates, query = problem(kind, ROWS, 16, 2, seed)
        more = np.vstack([query, query[0], query.sum(axis=0) / 2])
        scores = [
            NoiselessItl(0.1).score(posterior(candidates.astype(dtype), q.astype(dtype), 0.1)) for q in (query, more)
        ]
        np.testing.assert_allclose(scores[1], scores[0], rtol=1e-3 if dtype is np.float32 else 1e-9)
        assert np.isfinite(scores[1]).all()


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("error")
def test_nothing_breaks_when_hardly_anything_is_left_to_know(criterion: type, dtype: type) -> None:
    noise = 1e-4 if dtype is np.float32 else 2e-13
    candidates, query = (part.astype(dtype) for part in problem("near-duplicates", 30, 4, 6, 0))
    candidates[:6] = query  # the targets are learnt to the last bit
    choice = criterion(noise, replace=True).choose(candidates, query, 60)
    assert len(choice.indices) == 60
    state = Posterior(candidates[None], query[None], noise, 60, [BayesianLinear(noise)])
    for index in choice.indices.tolist():
        scores = criterion(noise).score(state)
        assert np.isfinite(scores).all()
        state.observe(state.effect(index))


def test_the_correlation_of_what_is_known_is_nothing() -> None:
    candidates = np.array([[1.0, 0.0], [0.0, 1.0]])
    limits = Constraints(known=np.array([[1.0, 0.0]] * 50))  # leaves 4e-15 of the first candidate's variance
    state = BayesianLinear(2e-13).condition(limits.known)
    scores = Ctl(2e-13).score(Posterior(candidates[None], np.array([[[1.0, 1.0]]]), 2e-13, 1, [state]))
    np.testing.assert_allclose(scores, [[0.0, 1.0]], atol=1e-6)


def test_correlation_has_a_sign_and_information_has_none() -> None:
    candidates = np.array([[-1.0, 0.1], [0.5, 0.8], [0.0, 1.0]])
    query = np.array([1.0, 0.0])
    assert Ctl().choose(candidates, query, 3).indices.tolist()[0] == 1
    assert Ctl().score(posterior(candidates, query[None], 0.01))[0].argmin() == 0
    assert Itl().choose(candidates, query, 1).indices.tolist() == [0]


def test_before_anything_is_seen_the_correlation_is_the_mean_cosine() -> None:
    candidates, query = problem("cap", ROWS, 16, 3, 0)
    scaled = candidates * np.random.default_rng(0).uniform(0.5, 2, (ROWS, 1))
    scores = Ctl().score(posterior(scaled, query, 0.01))[0]
    np.testing.assert_allclose(scores, (candidates @ query.T).mean(axis=1), atol=1e-12)


@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.floats(0.01, 1), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_information_about_all_targets_is_at_least_that_about_one(
    kind: str, seed: int, noise: float, targets: int
) -> None:
    candidates, query = problem(kind, 20, 12, targets, seed)
    state = posterior(candidates, query, noise)
    together, marginal = NoiselessItl(noise).score(state)[0], MmItl(noise).score(state)[0]
    assert (together >= marginal - 1e-12).all()
    assert (Itl(noise).score(state)[0] <= together + 1e-12).all()  # targets seen through noise tell less


@pytest.mark.parametrize("criterion", CRITERIA)
def test_many_queries_at_once_are_chosen_for_exactly_as_alone(criterion: type) -> None:
    data = [
        problem(kind, rows, 16, targets, seed) for kind in KINDS for rows, targets, seed in [(30, 3, 0), (30, 3, 1)]
    ]
    data += [problem("cap", 30, 16, 1, 2), problem("cap", 200, 16, 3, 3)]
    for dtype in (np.float32, np.float64):
        pairs = [(c.astype(dtype), q.astype(dtype)) for c, q in data]
        together = criterion(0.05).choose_many(*zip(*pairs, strict=True), 10)
        for pair, choice in zip(pairs, together, strict=True):
            alone = criterion(0.05).choose(*pair, 10)
            assert choice.indices.tolist() == alone.indices.tolist()
            np.testing.assert_array_equal(choice.variances, alone.variances)
            np.testing.assert_array_equal(choice.gains, alone.gains)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_torch_tensors_get_the_same_picks(criterion: type) -> None:
    import torch

    data = [problem(kind, ROWS, 16, 3, 4) for kind in KINDS]
    tensors = [tuple(map(torch.from_numpy, pair)) for pair in data]
    together = criterion(0.05).choose_many(*zip(*tensors, strict=True), 10)
    for pair, choice in zip(data, together, strict=True):
        assert choice.indices.tolist() == criterion(0.05).choose(*pair, 10).indices.tolist()


def peer_picks(function: object, candidates: np.ndarray) -> list[int]:
    import torch

    class InnerProduct(torch.nn.Module):  # a model with a kernel is computed with in float64
        def __init__(self) -> None:
            super().__init__()
            self.device = torch.nn.Parameter(torch.zeros(1))

        def kernel(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a @ b.T

    chosen, _ = function.select_from_minibatch(10, InnerProduct(), torch.from_numpy(candidates), None)  # type: ignore[attr-defined]
    return [int(index) for index in chosen]


@pytest.mark.parametrize("kind", ["cap", "clustered", "isotropic"])
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0])
def test_same_correlation_picks_as_activeft(kind: str, targets: int, noise: float) -> None:
    pytest.importorskip("activeft")
    import torch
    from activeft.acquisition_functions.ctl import CTL

    candidates, query = problem(kind, 60, 32, targets, 1)
    theirs = peer_picks(CTL(torch.from_numpy(query), noise_std=float(np.sqrt(noise))), candidates)
    assert Ctl(noise, replace=True).choose(candidates, query, 10).indices.tolist() == theirs


@pytest.mark.parametrize("kind", ["cap", "clustered", "isotropic"])
@pytest.mark.parametrize("targets", [1, 3])
def test_same_information_picks_as_activeft_where_there_is_next_to_no_noise(
    kind: str, targets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the function for what is observed (no λ beside k(x, x)), which comes to the same as λ goes to 0."""
    pytest.importorskip("activeft")
    import torch
    from activeft.acquisition_functions.itl import ITL

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=None, log=lambda _: None))
    from activeft.acquisition_functions.mm_itl import MMITL

    candidates, query = problem(kind, 60, 32, targets, 1)
    for ours, theirs in ((Itl, ITL), (MmItl, MMITL)):
        expected = peer_picks(theirs(torch.from_numpy(query), noise_std=1e-4), candidates)
        assert ours(1e-8, replace=True).choose(candidates, query, 10).indices.tolist() == expected
