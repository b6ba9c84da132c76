"""The posterior at fixed candidates and targets against one fit to all observations in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_oracle import Rbf, conditioned, problem

from whet.selection import BayesianLinear, Linear, Posterior
from whet.selection.posterior import WHOLE_KERNEL

CONTEXT_NOISE = 0.3


class Case:
    """Some queries with their candidates, targets and known context, and what has been observed of each.

    Args:
        whole: whether there is room for so many observations that the whole kernel is computed.
    """

    def __init__(
        self, batch: int, rows: int, targets: int, context: int, seed: int, *, kernel: Any, whole: bool, dtype: type
    ) -> None:
        rng = np.random.default_rng(seed)
        pairs = [problem("clustered", rows, 6, targets, seed + i) for i in range(batch)]
        self.candidates = np.stack([p[0] for p in pairs]).astype(dtype)
        self.targets = np.stack([p[1] for p in pairs]).astype(dtype)
        self.context = rng.standard_normal((batch, context, 6)).astype(dtype)
        self.noise = rng.uniform(0.05, 1, (batch, rows)).astype(dtype)
        self.kernel, self.whole = kernel, whole
        self.seen: list[np.ndarray] = []

    def start(self, rows: int, observations: int, kind: Any = np.asarray) -> Posterior:
        """Of the first candidates, with nothing observed but the context."""
        known = [BayesianLinear(CONTEXT_NOISE, kernel=self.kernel) for _ in self.context]
        if self.context.shape[1]:
            known = [k.condition(kind(c)) for k, c in zip(known, self.context, strict=True)]
        room = max(observations, -(-self.candidates.shape[1] // WHOLE_KERNEL)) if self.whole else observations
        candidates, noise = kind(self.candidates[:, :rows].copy()), kind(self.noise[:, :rows].copy())
        return Posterior(candidates, kind(self.targets), noise, room, known)

    def observe(self, posterior: Posterior, index: np.ndarray, kind: Any = np.asarray) -> None:
        posterior.observe(posterior.effect(int(index[0]) if len(index) == 1 else kind(index)))
        self.seen.append(index)

    def check(self, posterior: Posterior, atol: float, *, pairs: bool = False) -> None:
        """Everything that the posterior says, and with `pairs` the candidates' covariance too."""
        rows, m = posterior.candidates.shape[1], self.targets.shape[1]
        for b in range(len(self.candidates)):
            inputs = (self.targets[b], self.candidates[b, :rows], self.context[b])
            wide = np.concatenate(inputs).astype(np.float64)
            picks = [int(index[b]) for index in self.seen]
            noise = np.concatenate([np.full(len(self.context[b]), CONTEXT_NOISE), self.noise[b, picks]])
            observed = [*range(m + rows, len(wide)), *(m + p for p in picks)]
            prior = self.kernel(wide, wide)
            left = [conditioned(prior, observed[:i], noise[:i]) for i in range(len(observed) + 1)]
            after, summed = left[-1], np.array([np.trace(c[:m, :m]) for c in left])
            variance = np.diag(after)[m : m + rows]
            covariance = after[:m, m : m + rows]
            reduction = np.square(covariance).sum(axis=0) / (variance + self.noise[b, :rows])
            known = len(self.context[b])
            said = [
                (posterior.covariance[b], covariance),
                (posterior.variance()[b], variance),
                (posterior.target_covariance()[b], after[:m, :m]),
                (posterior.reduction()[b], reduction),
                (posterior.reductions()[b], -np.diff(summed[known:])),
                (posterior.explained()[b], summed[0] - summed[known]),
                (posterior.prior[b], summed[0]),
            ]
            if pairs:
                said.append((posterior.candidate_covariance()[b], after[m : m + rows, m : m + rows]))
            for ours, theirs in said:
                np.testing.assert_allclose(np.asarray(ours), theirs, rtol=0, atol=atol)


cases = st.builds(
    Case,
    batch=st.integers(1, 3),
    rows=st.integers(2, 40),
    targets=st.integers(1, 3),
    context=st.integers(0, 3),
    seed=st.integers(0, 2**16),
    kernel=st.sampled_from([Linear(), Rbf(1.5)]),
    whole=st.booleans(),
    dtype=st.just(np.float64),
)


def draws(data: st.DataObject, case: Case, rows: int, most: int = 8) -> list[np.ndarray]:
    """Candidates to observe, from a few so that they repeat."""
    index = st.lists(st.integers(0, min(rows, 4) - 1), min_size=len(case.candidates), max_size=len(case.candidates))
    return [np.array(i) for i in data.draw(st.lists(index, min_size=1, max_size=most))]


@given(cases, st.data())
@settings(max_examples=60, deadline=None)
def test_after_any_observations_it_is_that_of_one_fit(case: Case, data: st.DataObject) -> None:
    rows = case.candidates.shape[1]
    sequence = draws(data, case, rows)
    posterior = case.start(rows, len(sequence))
    case.check(posterior, 1e-10)
    for index in sequence:
        case.observe(posterior, index)
        case.check(posterior, 1e-10)
    case.check(posterior, 1e-10, pairs=True)
    case.check(posterior, 1e-10)


@given(cases, st.data())
@settings(max_examples=60, deadline=None)
def test_candidates_that_come_later_are_as_if_there_from_the_start(case: Case, data: st.DataObject) -> None:
    rows = case.candidates.shape[1]
    first = data.draw(st.integers(1, rows - 1))
    before, after = draws(data, case, first), draws(data, case, rows)
    posterior = case.start(first, len(before) + len(after))
    for index in before:
        case.observe(posterior, index)
    posterior.append(case.candidates[:, first:], case.noise[:, first:])
    case.check(posterior, 1e-10, pairs=True)
    for index in after:
        case.observe(posterior, index)
    case.check(posterior, 1e-10, pairs=True)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_torch_gives_what_numpy_gives(batch: int, whole: bool, dtype: type) -> None:
    case = Case(batch, 20, 2, 2, 0, kernel=Linear(), whole=whole, dtype=dtype)
    posterior = case.start(15, 4, torch.tensor)
    for i in (3, 3, 1):
        case.observe(posterior, np.arange(batch) + i, torch.tensor)
    posterior.append(torch.tensor(case.candidates[:, 15:]), torch.tensor(case.noise[:, 15:]))
    case.observe(posterior, np.arange(batch) + 16, torch.tensor)
    assert posterior.covariance.dtype == torch.tensor(case.candidates).dtype
    case.check(posterior, 1e-10 if dtype is np.float64 else 3e-6, pairs=True)


def test_queries_have_nothing_to_do_with_one_another() -> None:
    case = Case(5, 12, 2, 2, 0, kernel=Linear(), whole=True, dtype=np.float32)
    together = case.start(12, 4)
    sequence = [np.array([0, 1, 2, 3, i]) for i in (4, 4, 0, 4)]
    for index in sequence:
        case.observe(together, index)
    for b in range(5):
        one = case.start(12, 4)  # as wide as the others, but only this query is looked at
        alone = Posterior(
            case.candidates[b : b + 1], case.targets[b : b + 1], case.noise[b : b + 1], 4, [one._surrogates[b]]
        )
        for index in sequence:
            alone.observe(alone.effect(int(index[b])))
        assert np.array_equal(alone.covariance[0], together.covariance[b])
        assert np.array_equal(alone.noisy[0], together.noisy[b])


@pytest.mark.parametrize("noise", [0.1, 0.01, 0.001])
@pytest.mark.parametrize("late", [False, True])
def test_fifty_looks_at_one_candidate_stay_accurate_in_float32(noise: float, late: bool) -> None:
    case = Case(1, 20, 2, 0, 0, kernel=Linear(), whole=True, dtype=np.float32)
    case.noise[:] = noise
    posterior = case.start(10 if late else 20, 50)
    for _ in range(50):
        case.observe(posterior, np.array([3]))
    if late:
        posterior.append(case.candidates[:, 10:], case.noise[:, 10:])
    case.check(posterior, 5e-6, pairs=True)


@pytest.mark.parametrize("noise", [1.0, 1e2, 1e4])
def test_variances_under_much_noise(noise: float) -> None:
    case = Case(1, 20, 2, 0, 0, kernel=Linear(), whole=True, dtype=np.float64)
    case.noise[:] = noise
    posterior = case.start(20, 5)
    for i in range(5):
        case.observe(posterior, np.array([i]))
    case.check(posterior, 1e-10)


@pytest.mark.parametrize("noise", [1e4, 1e8])
def test_variances_under_much_noise_in_float32(noise: float) -> None:
    case = Case(1, 20, 2, 0, 0, kernel=Linear(), whole=True, dtype=np.float32)
    case.noise[:, 5:] = noise  # hardly trusted
    posterior = case.start(20, 5)
    case.observe(posterior, np.array([0]))
    case.check(posterior, 5e-6)


def test_a_single_surrogate_without_observations_serves_all() -> None:
    case = Case(3, 8, 2, 0, 0, kernel=Rbf(), whole=True, dtype=np.float64)
    posterior = Posterior(case.candidates, case.targets, case.noise, 2, [BayesianLinear(0.1, kernel=Rbf())])
    case.observe(posterior, np.array([1, 2, 3]))
    case.check(posterior, 1e-10)


def test_a_single_surrogate_with_observations_is_not_enough_for_several_queries() -> None:
    case = Case(3, 8, 2, 0, 0, kernel=Linear(), whole=True, dtype=np.float64)
    with pytest.raises(ValueError, match="known"):
        Posterior(case.candidates, case.targets, 0.1, 2, [BayesianLinear(0.1).condition(case.candidates[0, :2])])


def test_inputs_are_not_written_to() -> None:
    case = Case(2, 8, 2, 2, 0, kernel=Linear(), whole=True, dtype=np.float64)
    copies = case.candidates.copy(), case.targets.copy(), case.noise.copy()
    posterior = Posterior(case.candidates, case.targets, case.noise, 2, [BayesianLinear(0.1)])
    for i in (1, 1):
        posterior.observe(posterior.effect(np.array([i, i])))
    for now, before in zip((case.candidates, case.targets, case.noise), copies, strict=True):
        assert np.array_equal(now, before)
