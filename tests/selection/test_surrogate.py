"""The surrogate against closed forms in the space of weights and in that of functions, in float64."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from selection_oracle import Rbf, conditioned, unit_vectors

from whet.errors import InputError
from whet.selection import BayesianLinear, Linear

SHAPES = [(1, 1), (3, 8), (8, 8), (25, 6), (12, 40)]  # observations and dimensions


def data(rows: int, dimensions: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs of which some repeat, values, noise of each, and inputs to ask about."""
    rng = np.random.default_rng(seed)
    x = unit_vectors(rng.standard_normal((rows, dimensions)))
    x[rows // 2 :: 3] = x[0]
    return x, rng.standard_normal(rows), rng.uniform(0.05, 2, rows), rng.standard_normal((5, dimensions))


def log_det(matrix: np.ndarray) -> float:
    sign, value = np.linalg.slogdet(matrix)
    assert sign == 1
    return float(value)


@pytest.mark.parametrize("shape", SHAPES)
def test_mean_variance_and_covariance_are_those_of_the_weights(shape: tuple[int, int]) -> None:
    x, y, noise, z = data(*shape)
    weights = np.linalg.inv(np.eye(shape[1]) + x.T @ (x / noise[:, None]))  # covariance of the weights
    surrogate = BayesianLinear(0.1).condition(x, y, noise=noise)
    np.testing.assert_allclose(surrogate.mean(z), z @ weights @ x.T @ (y / noise), atol=1e-11)
    np.testing.assert_allclose(surrogate.variance(z), np.diag(z @ weights @ z.T), atol=1e-11)
    np.testing.assert_allclose(surrogate.covariance(z), z @ weights @ z.T, atol=1e-11)
    np.testing.assert_allclose(surrogate.covariance(z[:2], x), z[:2] @ weights @ x.T, atol=1e-11)
    assert len(surrogate) == shape[0]


@pytest.mark.parametrize("kernel", [Linear(), Rbf(1.5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_mean_and_covariance_are_those_of_the_process(shape: tuple[int, int], kernel: Any) -> None:
    x, y, noise, z = data(*shape)
    surrogate = BayesianLinear(0.1, kernel=kernel).condition(x, y, noise=noise)
    both = np.concatenate([z, x])
    posterior = conditioned(kernel(both, both), list(range(len(z), len(both))), noise)
    np.testing.assert_allclose(surrogate.covariance(z), posterior[: len(z), : len(z)], atol=1e-11)
    np.testing.assert_allclose(surrogate.variance(both), np.diag(posterior), atol=1e-11)
    solved = np.linalg.inv(kernel(x, x) + np.diag(noise)) @ y
    np.testing.assert_allclose(surrogate.mean(z), kernel(z, x) @ solved, atol=1e-10)


@pytest.mark.parametrize("kernel", [Linear(), Rbf(1.5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_evidence_is_the_density_of_a_normal_distribution(shape: tuple[int, int], kernel: Any) -> None:
    x, y, noise, _ = data(*shape)
    expected = multivariate_normal(np.zeros(len(y)), kernel(x, x) + np.diag(noise)).logpdf(y)
    surrogate = BayesianLinear(0.1, kernel=kernel)
    assert surrogate.condition(x, y, noise=noise).log_evidence() == pytest.approx(expected, abs=1e-9)
    parts = surrogate.condition(x[:1], y[:1], noise=noise[:1])
    if len(x) > 1:
        parts = parts.condition(x[1:], y[1:], noise=noise[1:])
    assert parts.log_evidence() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seen", [0, 4])
def test_information_about_the_function_is_that_about_the_weights(shape: tuple[int, int], seen: int) -> None:
    x, _, noise, z = data(*shape)
    before = z[:seen]
    surrogate = BayesianLinear(0.3)
    precision = np.eye(shape[1])
    if seen:
        surrogate = surrogate.condition(before)
        precision += before.T @ before / 0.3
    expected = (log_det(precision + x.T @ (x / noise[:, None])) - log_det(precision)) / 2
    assert surrogate.information_gain(x, noise=noise) == pytest.approx(expected, abs=1e-10)
    one_by_one = 0.0
    for row, own in zip(x, noise, strict=True):
        one_by_one += surrogate.information_gain(row, noise=own)
        surrogate = surrogate.condition(row, noise=own)
    assert one_by_one == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kernel", [Linear(), Rbf(2.0)])
@pytest.mark.parametrize("seen", [0, 3])
def test_information_about_some_inputs_is_that_of_the_joint_distribution(kernel: Any, seen: int) -> None:
    x, _, noise, z = data(9, 8)
    about, before = z[:2], z[2 : 2 + seen]
    surrogate = BayesianLinear(0.3, kernel=kernel)
    if seen:
        surrogate = surrogate.condition(before)
    rows = np.concatenate([about, x, before])
    joint = conditioned(kernel(rows, rows), list(range(11, 11 + seen)), np.full(seen, 0.3))[:11, :11]
    joint += np.diag(np.concatenate([np.zeros(2), noise]))
    expected = (log_det(joint[:2, :2]) + log_det(joint[2:, 2:]) - log_det(joint)) / 2
    assert surrogate.information_gain(x, about, noise=noise) == pytest.approx(expected, abs=1e-9)
    assert surrogate.information_gain(x, about, noise=noise) <= surrogate.information_gain(x, noise=noise) + 1e-12


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(1, 6), st.integers(0, 2**16), st.booleans())
@settings(max_examples=60, deadline=None)
def test_observations_may_come_in_any_parts(parts: list[int], dimensions: int, seed: int, rbf: bool) -> None:
    rows = sum(parts)
    x, y, noise, z = data(rows, dimensions, seed)
    prior = BayesianLinear(0.1, kernel=Rbf() if rbf else Linear())
    at_once, in_parts, start = prior.condition(x, y, noise=noise), prior, 0
    for size in parts:
        part = slice(start, start + size)
        in_parts, start = in_parts.condition(x[part], y[part], noise=noise[part]), start + size
    assert len(in_parts) == len(at_once) == rows
    for ask in (BayesianLinear.mean, BayesianLinear.variance, BayesianLinear.covariance):
        np.testing.assert_allclose(ask(in_parts, z), ask(at_once, z), atol=1e-9)
    assert in_parts.log_evidence() == pytest.approx(at_once.log_evidence(), abs=1e-8)


@pytest.mark.parametrize("noise", [1.0, 0.1, 0.01, 0.001])
@pytest.mark.parametrize("block", [1, 60])
def test_float32_is_off_by_a_few_roundings_only(noise: float, block: int) -> None:
    x, y, _, z = (a.astype(np.float32) for a in data(60, 8))
    z = unit_vectors(z)
    exact = BayesianLinear(noise).condition(x.astype(np.float64), y.astype(np.float64))
    rounded = BayesianLinear(noise)
    for i in range(0, 60, block):
        rounded = rounded.condition(x[i : i + block], y[i : i + block])
    assert rounded.mean(z).dtype == rounded.variance(z).dtype == rounded.covariance(z).dtype == np.float32
    wide = z.astype(np.float64)
    np.testing.assert_allclose(rounded.mean(z), exact.mean(wide), atol=2e-6 / noise)  # the copies disagree by about 1
    np.testing.assert_allclose(rounded.covariance(z), exact.covariance(wide), atol=1e-6)
    np.testing.assert_allclose(rounded.variance(z), exact.variance(wide), atol=1e-6)
    assert rounded.log_evidence() == pytest.approx(exact.log_evidence(), rel=2e-4)


def test_float32_information_about_two_inputs_that_are_nearly_one() -> None:
    x = unit_vectors(np.random.default_rng(0).standard_normal((3, 4)))
    about = np.array([[1, 0, 0, 0], [1, 1e-3, 0, 0]])
    expected = BayesianLinear(0.1).information_gain(x, np.eye(4)[:2])  # they span the same plane
    rounded = BayesianLinear(0.1).information_gain(x.astype(np.float32), about.astype(np.float32))
    assert rounded == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", [Linear(), Rbf(1.5)])
def test_torch_gives_what_numpy_gives(dtype: type, kernel: Any) -> None:
    arrays = [a.astype(dtype) for a in data(12, 8)]
    answers = []
    for kind in (np.asarray, torch.tensor):
        x, y, noise, z = (kind(a) for a in arrays)
        surrogate = BayesianLinear(0.1, kernel=kernel).condition(x[:5], y[:5], noise=noise[:5])
        surrogate = surrogate.condition(x[5:], y[5:], noise=noise[5:])
        tensors = [surrogate.mean(z), surrogate.variance(z), surrogate.covariance(z, x)]
        assert all(type(t) is type(z) and t.dtype == z.dtype for t in tensors)
        told = [surrogate.log_evidence(), surrogate.information_gain(z), surrogate.information_gain(x, z[:2])]
        answers.append([*map(np.asarray, tensors), *told])
    for ours, theirs in zip(*answers, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11 if dtype is np.float64 else 3e-5)


def test_conditioning_changes_neither_the_surrogate_nor_the_inputs() -> None:
    x, y, _, z = data(10, 4)
    x.flags.writeable = y.flags.writeable = False
    surrogate = BayesianLinear(0.1).condition(x[:6], y[:6])
    before = surrogate.mean(z), surrogate.covariance(z), surrogate.log_evidence()
    surrogate.condition(x[6:], y[6:])
    after = surrogate.mean(z), surrogate.covariance(z), surrogate.log_evidence()
    assert len(surrogate) == 6
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_surrogate_without_observations_has_the_prior() -> None:
    prior, z = BayesianLinear(0.1), data(4, 3)[3]
    assert len(prior) == 0
    assert prior.mean(z).tolist() == [0] * 5
    np.testing.assert_allclose(prior.covariance(z), z @ z.T)


def test_many_threads_condition_one_prior() -> None:
    x, y, _, z = data(40, 8)
    prior = BayesianLinear(0.1).condition(x[:10], y[:10])

    def answer(i: int) -> list[float]:
        return prior.condition(x[10 + i :], y[10 + i :]).mean(z).tolist()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(answer, range(25))) == [answer(i) for i in range(25)]
    assert len(prior) == 10


X, Y = np.eye(3)[:, :2] + 0.1, np.ones(3)
FITTED = BayesianLinear(0.1).condition(X, Y)
REFUSED = {
    "too few values": (lambda: BayesianLinear(0.1).condition(X, Y[:2]), r"y has shape \(2,\) for 3 inputs"),
    "NaN value": (lambda: BayesianLinear(0.1).condition(X, Y * np.nan), "y holds values that are not finite"),
    "values for some": (lambda: FITTED.condition(X), "y was given for some"),
    "values for the later": (lambda: BayesianLinear(0.1).condition(X).condition(X, Y), "y was given for some"),
    "no inputs": (lambda: BayesianLinear(0.1).condition(X[:0]), r"x have shape \(0, 2\)"),
    "NaN input": (lambda: BayesianLinear(0.1).condition(X * np.nan), "row 0 of x is not finite"),
    "whole numbers": (lambda: BayesianLinear(0.1).condition(np.ones((3, 2), int)), "x have dtype int64"),
    "other dtype": (lambda: FITTED.condition(X.astype(np.float32), Y), "x has dtype float32"),
    "other dimension": (lambda: FITTED.mean(np.ones((1, 5))), "z has dtype float64 and 5 dimensions"),
    "other kind": (lambda: FITTED.variance(torch.ones(1, 2, dtype=torch.float64)), "z has dtype torch.float64"),
    "other dimension of the second": (lambda: FITTED.covariance(X, np.ones((1, 5))), "w has dtype float64 and 5"),
    "other dimension of about": (lambda: FITTED.information_gain(X, np.ones((1, 5))), "about has dtype float64 and 5"),
    "no noise": (lambda: BayesianLinear(0.1).condition(X, noise=0), "noise=0"),
    "negative noise of one": (lambda: BayesianLinear(0.1).condition(X, noise=np.array([1, -1, 1])), "noise="),
    "NaN noise": (lambda: BayesianLinear(0.1).condition(X, noise=np.nan), "noise=nan"),
    "no prior noise": (lambda: BayesianLinear(0), "noise=0"),
    "mean without values": (lambda: BayesianLinear(0.1).condition(X).mean(X), "give y"),
    "evidence without values": (lambda: BayesianLinear(0.1).condition(X).log_evidence(), "give y"),
    "evidence of nothing": (lambda: BayesianLinear(0.1).log_evidence(), "give y"),
    "singular": (lambda: BayesianLinear(1e-12).condition(np.ones((3, 2), np.float32)), "singular in float32"),
}
NOT_YET_REFUSED = {
    "noise as a column": (lambda: BayesianLinear(0.1).condition(X, Y, noise=np.full((3, 1), 0.1)), "noise"),
    "noise as a matrix": (lambda: BayesianLinear(0.1).condition(X, Y, noise=np.full((3, 3), 0.1)), "noise"),
    "noise of too few": (lambda: BayesianLinear(0.1).condition(X, Y, noise=np.full(2, 0.1)), "noise"),
    "values as a matrix": (lambda: BayesianLinear(0.1).condition(np.vstack([X, X[:1]]), np.ones((2, 2))), "y "),
    "words for values": (lambda: BayesianLinear(0.1).condition(X, ["a", "b", "c"]), "y="),
    "w unlike z": (lambda: BayesianLinear(0.1).covariance(X, np.ones((1, 5))), "w "),
    "dtype of w": (lambda: BayesianLinear(0.1).covariance(X, X.astype(np.float32)), "w "),
    "about unlike x": (lambda: BayesianLinear(0.1).information_gain(X, np.ones((1, 5))), "about"),
    "a word for the noise": (lambda: BayesianLinear("little"), "noise"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_refuses_what_it_cannot_use(case: str) -> None:
    with pytest.raises(InputError, match=REFUSED[case][1]):
        REFUSED[case][0]()


@pytest.mark.parametrize("case", list(NOT_YET_REFUSED))
def test_refuses_what_does_not_fit(case: str) -> None:
    with pytest.raises(InputError, match=NOT_YET_REFUSED[case][1]):
        NOT_YET_REFUSED[case][0]()
