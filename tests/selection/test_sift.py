"""SIFT against fits from scratch in float64, and the properties that its definition implies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_oracle import KINDS, problem, reference_gains, reference_sift, reference_variance, unit_vectors

from whet.errors import InputError
from whet.selection import Sift

SETTINGS = list(product(KINDS, (30, 150), (16, 64, 384), (0.01, 0.1, 1.0), (1, 3), range(3)))
PICKS = 15

problems = st.builds(
    problem,
    kind=st.sampled_from(KINDS),
    rows=st.integers(1, 60),
    dimensions=st.integers(2, 40),
    targets=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
noises = st.floats(1e-3, 10)


@pytest.mark.parametrize("kind", KINDS)
def test_float64_picks_and_variances_are_those_of_fits_from_scratch(kind: str) -> None:
    for _, rows, dimensions, noise, targets, seed in (s for s in SETTINGS if s[0] == kind):
        candidates, query = problem(kind, rows, dimensions, targets, seed)
        choice = Sift(noise).choose(candidates, query, PICKS)
        picks = choice.indices.tolist()
        assert picks == reference_sift(candidates, query, noise, PICKS), (kind, rows, dimensions, noise, targets, seed)
        variances = [reference_variance(candidates, query, noise, picks[:i]) for i in range(PICKS + 1)]
        np.testing.assert_allclose(choice.variances, variances, rtol=0, atol=1e-12)
        np.testing.assert_allclose(choice.gains, -np.diff(variances), rtol=0, atol=1e-12)


def test_float32_picks_differ_from_float64_at_near_ties_only() -> None:
    different = 0
    for kind, rows, dimensions, noise, targets, seed in SETTINGS:
        candidates, query = (part.astype(np.float32) for part in problem(kind, rows, dimensions, targets, seed))
        choice = Sift(noise).choose(candidates, query, PICKS)
        picks = choice.indices.tolist()
        if picks != reference_sift(candidates, query, noise, PICKS):
            different += 1
            for i, index in enumerate(picks):
                gains = reference_gains(candidates, query, noise, picks[:i])
                assert gains[index] >= gains.max() - 1e-6 * targets, (kind, rows, dimensions, noise, targets, seed, i)
        variances = [reference_variance(candidates, query, noise, picks[:i]) for i in range(PICKS + 1)]
        np.testing.assert_allclose(choice.variances, variances, rtol=0, atol=2e-6)
    assert different <= 0.05 * len(SETTINGS)


def test_there_are_enough_settings() -> None:
    assert len(SETTINGS) >= 300


def test_vectors_are_used_as_they_are_not_normalised() -> None:
    rng = np.random.default_rng(0)
    candidates, query = problem("cap", 40, 16, 1, 0)
    candidates *= rng.uniform(0.2, 3, size=(40, 1))
    choice = Sift(0.1).choose(candidates, 2 * query, 12)
    picks = choice.indices.tolist()
    assert picks == reference_sift(candidates, 2 * query, 0.1, 12)
    assert choice.variances[-1] == pytest.approx(reference_variance(candidates, 2 * query, 0.1, picks), abs=1e-12)


@given(problems, noises, st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_trace_starts_at_one_never_rises_and_never_gets_negative(
    data: tuple[np.ndarray, np.ndarray], noise: float, n: int
) -> None:
    for dtype in (np.float64, np.float32):
        choice = Sift(noise).choose(data[0].astype(dtype), data[1].astype(dtype), n)
        assert choice.variances[0] == 1
        assert len(choice.variances) == n + 1
        assert (np.diff(choice.variances) <= 0).all()
        assert (choice.variances >= 0).all()
        assert (choice.gains >= 0).all()
        assert not choice.stopped


@given(problems, noises)
@settings(max_examples=50, deadline=None)
def test_turning_the_space_changes_nothing(data: tuple[np.ndarray, np.ndarray], noise: float) -> None:
    candidates, query = data
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((query.shape[1],) * 2))[0]
    choice = Sift(noise).choose(candidates, query, 8)
    turned = Sift(noise).choose(candidates @ turn, query @ turn, 8)
    np.testing.assert_allclose(turned.variances, choice.variances, rtol=0, atol=1e-9)
    assert_same_up_to_ties(turned.indices.tolist(), choice.indices.tolist(), candidates, query, noise)


@given(problems, noises, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_permuting_the_candidates_permutes_the_picks(data, noise, random) -> None:  # type: ignore[no-untyped-def]
    candidates, query = data
    order = np.array(random.sample(range(len(candidates)), len(candidates)))
    choice = Sift(noise).choose(candidates, query, 8)
    permuted = Sift(noise).choose(candidates[order], query, 8)
    np.testing.assert_allclose(permuted.variances, choice.variances, rtol=0, atol=1e-9)
    assert_same_up_to_ties(order[permuted.indices].tolist(), choice.indices.tolist(), candidates, query, noise)


def assert_same_up_to_ties(
    ours: list[int], theirs: list[int], candidates: np.ndarray, query: np.ndarray, noise: float
) -> None:
    """Equal, or equal up to a first difference at which the two gains are the same to rounding."""
    for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if mine != other:
            gains = reference_gains(candidates, query, noise, ours[:i])
            assert gains[mine] == pytest.approx(gains[other], abs=1e-10)
            return


@given(problems, noises)
@settings(max_examples=50, deadline=None)
def test_first_pick_has_the_largest_absolute_cosine(data: tuple[np.ndarray, np.ndarray], noise: float) -> None:
    candidates, query = data[0], data[1][0]
    cosines = np.abs(candidates @ query)
    first = Sift(noise).choose(candidates, query, 1).indices[0]
    assert cosines[first] == pytest.approx(cosines.max(), abs=1e-12)


def test_much_noise_repeats_the_most_similar_candidate() -> None:
    candidates, query = problem("cap", 100, 32, 1, 0)
    choice = Sift(1e6).choose(candidates, query, 10)
    assert choice.indices.tolist() == [int((candidates @ query[0]).argmax())] * 10


def test_little_noise_takes_no_near_duplicates() -> None:
    candidates, query = problem("near-duplicates", 100, 32, 1, 0)
    picks = Sift(0.01).choose(candidates, query, 10).indices
    similarity = candidates[picks] @ candidates[picks].T
    assert (similarity[np.triu_indices(10, 1)] > 0.99).sum() <= 2


def test_an_exact_copy_of_the_query_is_picked_every_time() -> None:
    candidates, query = problem("cap", 100, 32, 1, 0)
    candidates[42] = query[0]
    choice = Sift(0.01).choose(candidates, query, 20)
    assert choice.indices.tolist() == [42] * 20
    n = np.arange(21)
    np.testing.assert_allclose(choice.variances, 0.01 / (n + 0.01), rtol=1e-12, atol=1e-12)  # n noisy looks at f(q)


def test_equal_candidates_go_to_the_lowest_index() -> None:
    candidates = np.tile(np.array([0.6, 0.8]), (5, 1))
    assert Sift().choose(candidates, np.array([1.0, 0.0]), 1).indices.tolist() == [0]


def test_one_candidate_is_repeated() -> None:
    choice = Sift(0.1).choose(np.array([[0.6, 0.8]]), np.array([1.0, 0.0]), 3)
    assert choice.indices.tolist() == [0, 0, 0]
    np.testing.assert_allclose(choice.variances, [1 - 0.36 * n / (n + 0.1) for n in range(4)], atol=1e-12)


def test_early_stop_is_a_prefix_of_the_full_run() -> None:
    candidates, query = problem("clustered", 80, 32, 1, 3)
    full = Sift().choose(candidates, query, 20)
    asked: list[tuple[int, float, float]] = []

    def stop(picked: int, variance: float, proposed: float, /) -> bool:
        asked.append((picked, variance, proposed))
        return picked == 7

    part = Sift().choose(candidates, query, 20, stop=stop)
    assert part.stopped
    assert not full.stopped
    assert part.indices.tolist() == full.indices[:7].tolist()
    assert part.variances.tolist() == full.variances[:8].tolist()
    assert part.gains.tolist() == full.gains[:7].tolist()
    assert asked == [(i, full.variances[i], full.variances[i + 1]) for i in range(8)]


def test_a_stop_before_the_first_pick_leaves_nothing() -> None:
    candidates, query = problem("clustered", 80, 32, 1, 3)
    choice = Sift().choose(candidates, query, 20, stop=lambda *_: True)
    assert choice.stopped
    assert choice.indices.shape == choice.gains.shape == (0,)
    assert choice.variances.tolist() == [1.0]


def test_threads_do_not_disturb_each_other() -> None:
    data = [problem(kind, 150, 64, 1, seed) for kind in KINDS for seed in range(8)]
    selector = Sift(0.05)
    alone = [selector.choose(candidates, query, 20).indices.tolist() for candidates, query in data]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda pair: selector.choose(*pair, 20).indices.tolist(), data))
    assert together == alone


def test_the_inputs_are_left_alone() -> None:
    candidates, query = problem("cap", 50, 16, 1, 0)
    candidates.flags.writeable = query.flags.writeable = False
    Sift().choose(candidates, query, 10)


def test_slices_and_fortran_order_are_read_rightly() -> None:
    wide = unit_vectors(np.random.default_rng(0).standard_normal((60, 64)))
    query = wide[0, ::2] + 0.1
    expected = Sift().choose(wide[:, ::2].copy(), query.copy(), 10)
    for candidates in (wide[:, ::2], np.asfortranarray(wide[:, ::2])):
        assert Sift().choose(candidates, query, 10).indices.tolist() == expected.indices.tolist()


@pytest.mark.parametrize("noise", [0, -0.01, float("nan"), float("inf")])
def test_noise_must_be_positive(noise: float) -> None:
    with pytest.raises(InputError, match="noise"):
        Sift(noise)
