"""The noise that the data speak for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import bootstrap, multivariate_normal
from selection_oracle import unit_vectors

from whet.errors import InputError
from whet.selection import BayesianLinear, suggest_noise, suggest_noise_from_gains

GRID = [0.003, 0.03, 0.1, 0.5, 2.0]


def observed(n: int, d: int, noise: float, scale: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors, and what a draw from the surrogate's prior gives there."""
    rng = np.random.default_rng(seed)
    inputs = unit_vectors(rng.standard_normal((n, d)))
    values = inputs @ rng.standard_normal(d) + np.sqrt(noise) * rng.standard_normal(n)
    return inputs, np.sqrt(scale) * values


@pytest.mark.parametrize(("n", "d"), [(30, 8), (8, 30), (2, 1)])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_evidence_is_the_density_of_the_values(n: int, d: int, scale: float) -> None:
    inputs, values = observed(n, d, 0.1, 2.0, 0)
    suggestion = suggest_noise(inputs, values, noises=GRID, scale=scale)
    gram = inputs @ inputs.T
    expected = [multivariate_normal.logpdf(values, cov=scale * (gram + noise * np.eye(n))) for noise in GRID]
    np.testing.assert_allclose(suggestion.scores, expected, rtol=1e-9)
    assert suggestion.noise == GRID[int(np.argmax(expected))]


def test_evidence_at_scale_one_is_that_of_the_surrogate() -> None:
    inputs, values = observed(30, 8, 0.1, 1.0, 1)
    suggestion = suggest_noise(inputs, values, noises=GRID, scale=1.0)
    expected = [BayesianLinear(noise).condition(inputs, values).log_evidence() for noise in GRID]
    np.testing.assert_allclose(suggestion.scores, expected, rtol=1e-9)


def test_without_a_scale_it_is_the_most_probable_one_for_each_noise() -> None:
    inputs, values = observed(20, 8, 0.1, 9.0, 2)
    suggestion = suggest_noise(inputs, values, noises=GRID)
    for noise, score in zip(GRID, suggestion.scores, strict=True):
        covariance = inputs @ inputs.T + noise * np.eye(20)
        best = minimize_scalar(
            lambda log, cov=covariance: -multivariate_normal.logpdf(values, cov=np.exp(log) * cov), bounds=(-9, 9)
        )
        assert score == pytest.approx(-best.fun, abs=1e-6)


@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_finds_the_noise_that_made_the_values_within_a_factor_of_two(noise: float, scale: float) -> None:
    for seed in range(3):
        found = suggest_noise(*observed(400, 64, noise, scale, seed))
        assert noise / 2 <= found.noise <= noise * 2
        assert not found.at_edge


def test_plausible_noises_hold_the_true_one_about_as_often_as_they_should() -> None:
    held = 0
    for seed in range(60):
        found = suggest_noise(*observed(60, 16, 0.1, 1.0, seed))
        held += found.plausible[np.abs(np.log(found.noises / 0.1)).argmin()]
    assert held >= 52  # 57 of 60 expected


def test_more_values_leave_fewer_plausible_noises() -> None:
    few, many = (suggest_noise(*observed(n, 32, 0.1, 1.0, 0)).plausible.sum() for n in (40, 400))
    assert many < few


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(-3, 3))
def test_the_unit_of_the_values_does_not_change_the_choice(seed: int, exponent: float) -> None:
    inputs, values = observed(15, 4, 0.1, 1.0, seed)
    one, other = (suggest_noise(inputs, factor * values) for factor in (1.0, 10.0**exponent))
    np.testing.assert_allclose(one.scores - one.scores.max(), other.scores - other.scores.max(), atol=1e-6)


def test_takes_any_kernel_and_torch_tensors() -> None:
    torch = pytest.importorskip("torch")

    class Squared:
        def __call__(self, a: Any, b: Any) -> Any:
            return (a @ b.mT) ** 2

        def diagonal(self, a: Any) -> Any:
            return (a * a).sum(-1) ** 2

    inputs, values = observed(20, 4, 0.1, 1.0, 0)
    squared = suggest_noise(inputs, values, noises=GRID, scale=1.0, kernel=Squared())
    expected = [
        multivariate_normal.logpdf(values, cov=np.square(inputs @ inputs.T) + n * np.eye(20), allow_singular=False)
        for n in GRID
    ]
    np.testing.assert_allclose(squared.scores, expected, rtol=1e-9)
    plain, tensors = suggest_noise(inputs, values), suggest_noise(torch.tensor(inputs), values)
    assert plain.scores.tolist() == tensors.scores.tolist()


def gains_of(queries: int, means: list[float], seed: int = 0) -> np.ndarray:
    """Gains that differ far more between queries than between noises."""
    rng = np.random.default_rng(seed)
    return rng.exponential(1.0, (queries, 1)) + np.array(means) + 0.05 * rng.standard_normal((queries, len(means)))


def test_chooses_the_noise_of_the_largest_mean_gain_and_pairs_the_queries() -> None:
    gains = gains_of(100, [0.0, 0.1, 0.02])
    found = suggest_noise_from_gains(gains, [0.01, 0.1, 1.0])
    assert found.noise == 0.1
    np.testing.assert_allclose(found.scores, gains.mean(axis=0))
    assert found.plausible.tolist() == [False, True, False]
    assert found.lead == pytest.approx((gains[:, 1] - gains[:, 2]).mean())


def test_lead_has_the_percentile_bootstrap_interval_of_the_paired_differences() -> None:
    gains = gains_of(50, [0.0, 0.1])
    found = suggest_noise_from_gains(gains, [0.01, 0.1])
    expected = bootstrap((gains[:, 1] - gains[:, 0],), np.mean, method="percentile", rng=0).confidence_interval
    assert found.lead_ci95 == pytest.approx((expected.low, expected.high), abs=0.003)


def test_noises_that_cannot_be_told_apart_are_all_plausible_and_none_is_preferred_for_its_size() -> None:
    found = suggest_noise_from_gains(gains_of(20, [0.001, 0.0, 0.0]), [0.01, 0.1, 10.0])
    assert found.plausible.sum() >= 2
    assert found.noise == found.noises[found.scores.argmax()]
    same = suggest_noise_from_gains(np.repeat(gains_of(20, [0.0]), 3, axis=1), [1.0, 0.1, 10.0])
    assert (same.noise, same.lead, same.lead_ci95) == (1.0, 0.0, (0.0, 0.0))
    assert same.plausible.all()


def test_the_same_seed_gives_the_same_interval() -> None:
    gains = gains_of(20, [0.0, 0.01])
    one, same, other = (suggest_noise_from_gains(gains, [0.01, 0.1], seed=seed).lead_ci95 for seed in (1, 1, 2))
    assert one == same != other


def test_says_what_it_chose_how_flat_it_is_and_when_to_try_further() -> None:
    middle = suggest_noise_from_gains(gains_of(100, [0.0, 0.1, 0.02]), [0.01, 0.1, 1.0])
    assert "noise 0.1, ahead" in str(middle)
    assert "1 of 3" in str(middle)
    assert "edge" not in str(middle)
    last = suggest_noise_from_gains(gains_of(100, [0.0, 0.1, 0.2]), [0.01, 0.1, 1.0])
    assert last.at_edge
    assert "try further" in str(last)


INPUTS, VALUES = observed(5, 3, 0.1, 1.0, 0)


@pytest.mark.parametrize(
    ("inputs", "values", "options", "message"),
    [
        (INPUTS, VALUES[:4], {}, r"values have shape \(4,\) for 5 inputs"),
        (INPUTS, VALUES[:, None], {}, r"values have shape \(5, 1\)"),
        (INPUTS[:1], VALUES[:1], {}, "at least two inputs"),
        (INPUTS * np.nan, VALUES, {}, "inputs is not finite"),
        (INPUTS[0], VALUES, {}, r"inputs have shape \(3,\)"),
        (INPUTS, VALUES * np.nan, {}, "values are all 0, or not finite"),
        (INPUTS, VALUES * 0, {}, "values are all 0"),
        (INPUTS, VALUES, {"scale": 0.0}, "scale=0"),
        (INPUTS, VALUES, {"scale": float("nan")}, "scale=nan"),
        (INPUTS, VALUES, {"noises": [0.1]}, "at least two different noises"),
        (INPUTS, VALUES, {"noises": 0.1}, "at least two different noises"),
        (INPUTS, VALUES, {"noises": [0.1, 0.1]}, "at least two different noises"),
        (INPUTS, VALUES, {"noises": [0.1, -1]}, "noise=-1"),
    ],
)
def test_refuses_values_that_it_cannot_judge_by(inputs: Any, values: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        suggest_noise(inputs, values, **options)


@pytest.mark.parametrize(
    ("gains", "noises", "message"),
    [
        (np.ones((5, 3)), [0.1, 1.0], r"gains have shape \(5, 3\) for 2 noises"),
        (np.ones(5), [0.1, 1.0], r"gains have shape \(5,\)"),
        (np.ones((1, 2)), [0.1, 1.0], "at least two queries"),
        (np.full((5, 2), np.nan), [0.1, 1.0], "not finite"),
        (np.ones((5, 1)), [0.1], "at least two different noises"),
        (np.ones((5, 2)), [0.1, 0.0], "noise=0"),
    ],
)
def test_refuses_gains_that_it_cannot_judge_by(gains: Any, noises: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        suggest_noise_from_gains(gains, noises)
