"""Gains foretold from the variance that is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from whet.errors import InputError
from whet.selection import Calibration, Sift, calibrate, calibration


@pytest.fixture(scope="module", autouse=True)
def _fewer_resamples() -> Iterator[None]:
    """The bootstrap is what takes time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "RESAMPLES", 200)
        yield


def measured(queries: int, seed: int, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Variances, and gains that fall with them, scattered."""
    rng = np.random.default_rng(seed)
    variances = rng.uniform(0.05, 0.6, queries)
    return variances, truth(variances) + noise * rng.standard_normal(queries)


def truth(variances: np.ndarray) -> np.ndarray:
    return 0.5 * np.exp(-5 * variances)


def pooled(variances: np.ndarray, gains: np.ndarray) -> list[float]:
    """The gain expected at each variance in rising order: neighbours out of order are merged until none is."""
    blocks = [[float(gain)] for gain in gains[np.argsort(variances)]]
    while True:
        means = [np.mean(block) for block in blocks]
        wrong = [i for i in range(len(blocks) - 1) if means[i] < means[i + 1]]
        if not wrong:
            return [float(np.mean(block)) for block in blocks for _ in block]
        blocks[wrong[0]] += blocks.pop(wrong[0] + 1)


def scored(fitted: Calibration, variances: np.ndarray, gains: np.ndarray, level: float) -> float:
    """Share of the gains in the interval."""
    low, high = fitted.interval(variances, level)
    return float(((low <= gains) & (gains <= high)).mean())


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_is_that_of_pooling_adjacent_violators(seed: int) -> None:
    variances, gains = measured(60, seed, noise=0.3)
    np.testing.assert_allclose(calibrate(variances, gains).expected_gain(np.sort(variances)), pooled(variances, gains))


unit = st.floats(0, 1)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(unit, st.floats(-5, 5)), min_size=10, max_size=25), st.lists(unit, min_size=2, max_size=9))
def test_expected_gain_never_rises_and_stays_in_the_range_of_the_gains(
    pairs: list[tuple[float, float]], at: list[float]
) -> None:
    variances, gains = map(np.array, zip(*pairs, strict=True))
    if len(set(variances)) == 1 or len(set(gains)) == 1:
        return
    fitted = calibrate(variances, gains)
    expected = fitted.expected_gain(np.sort(at))
    assert (np.diff(expected) <= 0).all()
    assert (expected >= gains.min() - 1e-9).all()
    assert (expected <= gains.max() + 1e-9).all()
    assert fitted.expected_gain(at[0]) == fitted.expected_gain(np.array(at))[0]
    assert -1 <= fitted.rank_ci95[0] <= fitted.rank_ci95[1] <= 1
    assert Calibration.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


def test_outside_what_was_measured_the_nearest_variance_counts() -> None:
    fitted = calibrate(*measured(50, 0))
    assert fitted.expected_gain(0.0) == fitted.gains[0]
    assert fitted.expected_gain(1.0) == fitted.gains[-1]


def test_variances_that_are_equal_share_the_mean_of_their_gains() -> None:
    fitted = calibrate(np.repeat([0.2, 0.6], 10), [*range(10), *range(-10, 0)])
    assert [fitted.expected_gain(v) for v in (0.2, 0.6)] == [4.5, -5.5]


def test_errors_are_those_of_queries_that_the_fit_had_not_seen() -> None:
    variances, gains = measured(12, 3)
    fitted = calibrate(variances, gains, folds=12)
    residuals, constant = [], []
    for i in range(12):
        rest = np.delete(np.arange(12), i)
        ordered = rest[np.argsort(variances[rest])]
        expected = np.interp(variances[i], variances[ordered], pooled(variances[rest], gains[rest]))
        residuals.append(gains[i] - expected)
        constant.append(gains[i] - gains[rest].mean())
    np.testing.assert_allclose(fitted.residuals, np.sort(residuals))
    assert fitted.rmse == pytest.approx(np.sqrt(np.mean(np.square(residuals))))
    assert fitted.mae == pytest.approx(np.mean(np.abs(residuals)))
    assert fitted.constant_rmse == pytest.approx(np.sqrt(np.mean(np.square(constant))))
    assert fitted.constant_mae == pytest.approx(np.mean(np.abs(constant)))


def test_errors_tell_variances_that_foretell_the_gain_from_those_that_do_not() -> None:
    variances, gains = measured(300, 0)
    useful = calibrate(variances, gains)
    useless = calibrate(variances, np.random.default_rng(1).permutation(gains))
    assert useful.rmse == pytest.approx(0.05, rel=0.2)
    assert useful.rmse < 0.6 * useful.constant_rmse
    assert useful.rank_ci95[1] < -0.7
    assert useless.rmse > 0.95 * useless.constant_rmse
    assert useless.rank_ci95[0] < 0 < useless.rank_ci95[1]


def test_rank_correlation_is_spearmans_and_lies_in_its_interval() -> None:
    variances, gains = measured(40, 2, noise=0.2)
    variances = variances.round(1)  # with ties
    fitted = calibrate(variances, gains)
    assert fitted.rank_correlation == pytest.approx(spearmanr(variances, gains).statistic)
    assert fitted.rank_ci95[0] < fitted.rank_correlation < fitted.rank_ci95[1]


@pytest.mark.parametrize("level", [0.8, 0.9])
@pytest.mark.parametrize("queries", [20, 100])
def test_a_new_query_falls_in_the_interval_about_as_often_as_it_says(queries: int, level: float) -> None:
    covered = [scored(calibrate(*measured(queries, seed)), *measured(500, 1000 + seed), level) for seed in range(12)]
    assert level - 0.04 < np.mean(covered) < level + 0.1


def test_several_measurements_of_a_query_count_as_one_query() -> None:
    variances, gains = measured(30, 0)
    once, twice = (
        calibrate(np.stack([variances] * times, axis=1), np.stack([gains] * times, axis=1)) for times in (1, 2)
    )
    assert once == calibrate(variances, gains)
    assert twice.queries == 30
    assert len(twice.residuals) == 60
    np.testing.assert_allclose(twice.gains, once.gains)
    width_once, width_twice = (np.diff(c.rank_ci95)[0] for c in (once, twice))
    assert width_twice == pytest.approx(width_once, rel=0.3)  # as independent measurements they would shrink by 1/√2
    # a copy in another fold would give the gain away
    assert twice.rmse > 0.9 * once.rmse


def test_interval_of_several_measurements_is_of_the_same_quantiles() -> None:
    variances, gains = measured(100, 5)
    pairs = calibrate(variances.reshape(50, 2), gains.reshape(50, 2))
    low, high = pairs.interval(0.3)
    expected = pairs.expected_gain(0.3)
    assert low == expected + sorted(pairs.residuals)[9]  # ⌊0.1 · 51⌋ = 5th of 50, 10th of 100
    assert high == expected + sorted(pairs.residuals)[-10]


@pytest.mark.parametrize(("level", "needed"), [(0.9, 19), (0.95, 39), (0.99, 199)])
def test_a_level_says_how_many_queries_it_takes(level: float, needed: int) -> None:
    with pytest.raises(InputError, match=f"level={level} takes {needed} queries and {needed - 1} were measured"):
        calibrate(*measured(needed - 1, 0)).interval(0.3, level)
    low, high = calibrate(*measured(needed, 0)).interval(0.3, level)
    assert low < high


def test_the_usual_level_can_be_had_from_the_fewest_queries() -> None:
    fitted = calibrate(*measured(10, 0))
    expected = fitted.expected_gain(0.3)
    assert fitted.interval(0.3) == (expected + fitted.residuals[0], expected + fitted.residuals[-1])


@settings(deadline=None)
@given(st.integers(0, 100), st.floats(0, 0.1))
def test_best_picks_has_the_largest_net_gain_of_all_numbers(seed: int, cost: float) -> None:
    fitted = LEARNT
    rng = np.random.default_rng(seed)
    choice = Sift().choose(rng.standard_normal((20, 8)), rng.standard_normal(8), 15)
    picks = fitted.best_picks(choice.variances, cost)
    net = [0.0] + [fitted.expected_gain(float(v)) - cost * (i + 1) for i, v in enumerate(choice.variances[1:])]
    assert net[picks] == max(net)
    assert picks == net.index(max(net))


LEARNT = calibrate(*measured(100, 0))


def test_best_picks_is_none_where_training_does_not_pay_and_passes_over_a_level_stretch() -> None:
    assert LEARNT.best_picks([1.0, 0.3, 0.1], cost=1.0) == 0
    assert LEARNT.best_picks([1.0], cost=0.0) == 0
    steps = calibrate(np.repeat([0.1, 0.4, 0.5, 0.9], 5), np.repeat([3.0, 1.0, 1.0, 0.5], 5))
    assert steps.best_picks([1.0, 0.9, 0.5, 0.4, 0.1], cost=0.3) == 4


def test_the_same_seed_gives_the_same_calibration() -> None:
    variances, gains = measured(50, 0)
    assert calibrate(variances, gains, seed=1) == calibrate(variances, gains, seed=1)
    assert calibrate(variances, gains, seed=1) != calibrate(variances, gains, seed=2)


def test_says_in_two_lines_what_it_found() -> None:
    first, second = str(LEARNT).splitlines()
    assert "100 queries" in first
    assert f"RMSE {LEARNT.rmse:.3g}" in second


GOOD = measured(12, 0)


@pytest.mark.parametrize(
    ("variances", "gains", "message"),
    [
        (GOOD[0][:9], GOOD[1][:9], "9 queries were measured"),
        (GOOD[0], GOOD[1][:-1], r"shape \(12,\) and gains \(11,\)"),
        (0.5, 0.5, r"shape \(\)"),
        (np.empty((12, 0)), np.empty((12, 0)), r"shape \(12, 0\)"),
        (GOOD[0] * np.nan, GOOD[1], "variances hold nan"),
        (GOOD[0] - 1, GOOD[1], "variances hold -"),
        (GOOD[0] + 1, GOOD[1], "variances hold 1"),
        (GOOD[0], GOOD[1] * np.inf, "gains hold a number that is not finite"),
        (GOOD[0] * 0, GOOD[1], "all variances are 0"),
        (GOOD[0], np.ones(12), "all gains are 1:"),
    ],
)
def test_refuses_measurements_that_tell_nothing(variances: Any, gains: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibrate(variances, gains)


@pytest.mark.parametrize("folds", [1, 13, 2.5])
def test_folds_are_at_least_two_and_at_most_the_queries(folds: Any) -> None:
    with pytest.raises(InputError, match="folds="):
        calibrate(*GOOD, folds=folds)


def test_refuses_questions_that_make_no_sense() -> None:
    for variance in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="variance hold"):
            LEARNT.expected_gain(variance)
    for level in (0, 1, float("nan")):
        with pytest.raises(InputError, match="level="):
            LEARNT.interval(0.3, level)
    for cost in (-1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="cost="):
            LEARNT.best_picks([1.0, 0.5], cost)
    for variances in ([], [[1.0, 0.5]], 0.5):
        with pytest.raises(InputError, match="variances have shape"):
            LEARNT.best_picks(variances, 0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rmse": None}, "wrong kind"),
        ({"rmse": "0.1"}, "wrong kind"),
        ({"rmse": [0.1]}, "wrong kind"),
        ({"gains": 0.5}, "wrong kind"),
        ({"queries": 99.5}, "wrong kind"),
        ({"mae": float("nan")}, "not finite"),
        ({"variances": LEARNT.variances[::-1]}, "do not go down"),
        ({"gains": LEARNT.gains[::-1]}, "do not go down"),
        ({"gains": LEARNT.gains[1:]}, "do not go down"),
        ({"variances": (), "gains": ()}, "do not go down"),
        ({"variances": [v + 1 for v in LEARNT.variances]}, "variances hold"),
        ({"residuals": LEARNT.residuals[::-1]}, "out of order"),
        ({"residuals": []}, "0 residuals of 100 queries"),
        ({"rank_ci95": [0.1]}, "fit it again"),
        ({"more": 1}, "has the entries"),
    ],
)
def test_refuses_values_that_come_from_no_calibration(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Calibration.from_dict({**LEARNT.to_dict(), **change})


@pytest.mark.parametrize("values", [{}, [], None, "calibration"])
def test_refuses_what_is_no_calibration_at_all(values: Any) -> None:
    with pytest.raises(InputError, match="has the entries"):
        Calibration.from_dict(values)
