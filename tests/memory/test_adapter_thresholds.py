"""Thresholds of reuse against curves that are known, and against a naive isotonic regression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.errors import InputError
from whet.memory import calibrate_thresholds


def test_thresholds_of_a_known_curve_with_noise() -> None:
    rng = np.random.default_rng(0)
    cosines = rng.uniform(0, 1, 3000)
    found = calibrate_thresholds(cosines, cosines + rng.normal(0, 0.1, 3000))
    assert found.hit == pytest.approx(0.9, abs=0.05)
    assert found.warm == pytest.approx(0.5, abs=0.05)
    assert found.mae == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.1)  # that of the noise itself
    assert found.constant_mae == pytest.approx(0.25, rel=0.1)
    assert found.pairs == 3000


def pool_adjacent_violators(values: list[float]) -> list[float]:
    """The rising sequence nearest to these in least squares, block by block."""
    blocks: list[list[float]] = []
    for value in values:
        blocks.append([value])
        while len(blocks) > 1 and np.mean(blocks[-2]) >= np.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    return [float(np.mean(block)) for block in blocks for _ in block]


@given(st.lists(st.floats(-1, 1.2), min_size=10, max_size=40), st.integers(0, 100))
def test_a_threshold_is_where_the_isotonic_curve_first_reaches_the_level(kept: list[float], seed: int) -> None:
    cosines = np.sort(np.random.default_rng(seed).uniform(-1, 1, len(kept)))
    curve = pool_adjacent_violators(kept)
    found = calibrate_thresholds(cosines, kept)
    for threshold, level in ((found.hit, 0.9), (found.warm, 0.5)):
        if threshold is None:
            assert max(curve) < level + 1e-9
        else:
            assert np.interp(threshold, cosines, curve) >= level - 1e-6
            if threshold > cosines[0] + 1e-6:
                assert np.interp(threshold - 1e-6, cosines, curve) <= level + 1e-6


def test_no_threshold_where_too_little_is_ever_kept() -> None:
    cosines = np.linspace(0, 1, 50)
    found = calibrate_thresholds(cosines, 0.6 * cosines)
    assert found.hit is None
    assert found.warm == pytest.approx(0.5 / 0.6, abs=1e-3)
    assert calibrate_thresholds(cosines, -cosines).warm is None


def test_nothing_below_the_nearest_measured_pair_is_promised() -> None:
    cosines = np.linspace(0.6, 1, 20)
    assert calibrate_thresholds(cosines, np.ones(20)).hit == 0.6


def test_the_order_of_pairs_changes_no_threshold_and_the_seed_only_the_error() -> None:
    rng = np.random.default_rng(1)
    cosines = rng.uniform(0, 1, 200)
    kept = cosines + rng.normal(0, 0.2, 200)
    found, order = calibrate_thresholds(cosines, kept), rng.permutation(200)
    again = calibrate_thresholds(cosines[order], kept[order], seed=3)
    assert (again.hit, again.warm) == pytest.approx((found.hit, found.warm))
    assert again.mae != found.mae
    assert calibrate_thresholds(cosines, kept) == found


def test_where_cosines_tell_nothing_the_mean_does_as_well() -> None:
    rng = np.random.default_rng(2)
    found = calibrate_thresholds(rng.uniform(0, 1, 300), rng.normal(0.5, 0.2, 300))
    assert found.mae >= found.constant_mae


@pytest.mark.parametrize(
    ("cosines", "kept", "levels", "named"),
    [
        (np.zeros(9), np.zeros(9), {}, "9 pairs"),
        (np.zeros(10), np.zeros(11), {}, "shape"),
        (np.full(10, 1.5), np.zeros(10), {}, "1.5"),
        (np.full(10, np.nan), np.zeros(10), {}, "cosine"),
        (np.zeros(10), np.full(10, np.inf), {}, "kept"),
        (np.zeros(10), np.zeros(10), {"hit": 0.4}, "hit=0.4, warm=0.5"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(cosines: np.ndarray, kept: np.ndarray, levels: dict, named: str) -> None:
    with pytest.raises(InputError, match=named):
        calibrate_thresholds(cosines, kept, **levels)
