"""Stop rules inside a selection: which picks they keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_oracle import KINDS, problem

from whet.control import AdaptiveStop, MinimumGain, VarianceTarget
from whet.errors import InputError
from whet.selection import SELECTORS, Sift

NAMES = ("sift", "vtl", "nearest", "random", "repeat")


@settings(deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 1000), st.floats(0.05, 2), st.sampled_from(NAMES))
def test_adaptive_stop_keeps_the_picks_before_the_first_that_fails(
    kind: str, seed: int, alpha: float, name: str
) -> None:
    candidates, query = problem(kind, 40, 16, 1, seed)
    full = SELECTORS[name]().choose(candidates, query, 30)
    part = SELECTORS[name]().choose(candidates, query, 30, stop=AdaptiveStop(alpha))
    n = np.arange(1, 31)
    holds = np.sqrt(full.variances[1:]) <= 1 / (alpha * n)
    kept = 30 if holds.all() else int(holds.argmin())
    assert part.indices.tolist() == full.indices[:kept].tolist()
    assert part.stopped == (kept < 30)
    assert len(part.indices) >= min(30, int(1 / alpha))


def test_adaptive_stop_goes_on_for_longer_where_the_candidates_explain_the_query_better() -> None:
    noise = np.random.default_rng(0).standard_normal((100, 64)) / 8
    query = np.eye(64)[0]
    taken = []
    for closeness in (0.2, 0.3, 0.5):
        choice = Sift(noise=0.1).choose(noise + closeness * query, query, 300, stop=AdaptiveStop(0.15))
        taken.append(len(choice.indices))
    assert 6 < taken[0] < taken[1] < taken[2] < 300


def test_adaptive_stop_with_a_large_alpha_may_take_nothing() -> None:
    candidates, query = np.eye(8), np.ones(8)
    choice = Sift().choose(candidates, query, 5, stop=AdaptiveStop(alpha=2))
    assert len(choice.indices) == 0
    assert choice.stopped


@settings(deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 1000), st.floats(0.1, 0.99))
def test_variance_target_keeps_the_pick_that_reaches_it_and_none_after(kind: str, seed: int, sigma: float) -> None:
    candidates, query = problem(kind, 40, 16, 1, seed)
    choice = Sift().choose(candidates, query, 30, stop=VarianceTarget(sigma))
    deviations = np.sqrt(choice.variances)
    assert (deviations[:-1] > sigma).all()
    assert choice.stopped == (len(choice.indices) < 30)
    assert deviations[-1] <= sigma or not choice.stopped


@settings(deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(0, 1000),
    st.floats(-6, -0.5),
    st.sampled_from(NAMES),
)
def test_minimum_gain_keeps_the_picks_before_the_first_that_gains_less(
    kind: str, seed: int, exponent: float, name: str
) -> None:
    candidates, query = problem(kind, 40, 16, 1, seed)
    full = SELECTORS[name]().choose(candidates, query, 30)
    part = SELECTORS[name]().choose(candidates, query, 30, stop=MinimumGain(10**exponent))
    pays = -np.diff(full.variances) >= 10**exponent
    kept = 30 if pays.all() else int(pays.argmin())
    assert part.indices.tolist() == full.indices[:kept].tolist()
    assert part.stopped == (kept < 30)


def test_minimum_gain_keeps_a_pick_that_gains_as_much_as_it_costs() -> None:
    rule = MinimumGain(0.25)
    assert not rule(0, 0.75, 0.5)
    assert rule(0, 0.75, 0.5 + 1e-9)


def test_minimum_gain_takes_nothing_where_no_candidate_tells_enough() -> None:
    choice = Sift().choose(np.eye(4)[1:], np.array([1, 0.01, 0, 0]), 3, stop=MinimumGain(0.001))
    assert len(choice.indices) == 0
    assert choice.stopped
    assert choice.variances.tolist() == [1.0]


@pytest.mark.parametrize("gain", [0, 1, -0.5, float("nan"), float("inf")])
def test_gain_is_a_share(gain: float) -> None:
    with pytest.raises(InputError, match="gain="):
        MinimumGain(gain)


@pytest.mark.parametrize("alpha", [0, -1, float("nan"), float("inf")])
def test_alpha_is_positive(alpha: float) -> None:
    with pytest.raises(InputError, match="alpha="):
        AdaptiveStop(alpha)


@pytest.mark.parametrize("sigma", [0, 1, -0.5, float("nan")])
def test_sigma_is_a_share(sigma: float) -> None:
    with pytest.raises(InputError, match="sigma="):
        VarianceTarget(sigma)
