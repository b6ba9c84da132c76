"""The pure parts of benchmarks/selection_theory.py."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from whet.control import AdaptiveStop
from whet.memory import Candidates
from whet.selection import Sift

pytest.importorskip("matplotlib")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import selection_theory as theory
import selection_theory_report as theory_report
import selection_theory_statistics as statistics


def near(rows: int = 12, dimensions: int = 16) -> Candidates:
    vectors = np.random.default_rng(0).standard_normal((rows + 1, dimensions)).astype(np.float32)
    vectors[1:] += 1.5 * vectors[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query, vectors = vectors[0], vectors[1:]
    order = np.argsort(-vectors @ query)
    return Candidates(tuple("abcdefghijkl"[:rows]), vectors[order], (vectors @ query)[order], query)


def test_near_copies_lie_at_the_given_cosine_to_the_five_nearest_and_are_ordered_by_similarity() -> None:
    original = near()
    copied = theory.near_copies(original, 3, (0,))
    assert {id: copied.ids.count(id) for id in original.ids} == {id: 4 if id in "abcde" else 1 for id in original.ids}
    vector = dict(zip(original.ids, original.vectors, strict=True))
    cosines = [float(v @ vector[id]) for id, v in zip(copied.ids, copied.vectors, strict=True)]
    np.testing.assert_allclose(sorted(cosines), [theory.COSINE] * 15 + [1.0] * 12, atol=1e-6)
    assert (np.diff(copied.similarities) <= 0).all()


@pytest.mark.parametrize("alpha", [0.1, 0.3, 1.0])
def test_the_adaptive_rule_on_a_trace_ends_where_the_selection_does(alpha: float) -> None:
    candidates = near()
    trace = Sift(0.1).choose(candidates.vectors, candidates.query, 10).variances.tolist()
    chosen = Sift(0.1).choose(candidates.vectors, candidates.query, 10, stop=AdaptiveStop(alpha))
    assert theory_report.stopped_at(trace, alpha) == len(chosen.indices)


def test_rank_correlation_is_that_of_scipy_and_a_constant_shift_of_each_group_does_not_change_it_within_groups() -> (
    None
):
    rng = np.random.default_rng(1)
    a, b = rng.integers(5, size=(2, 30)).astype(float)
    groups = np.repeat(["x", "y", "z"], 10)
    assert statistics.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    shifted = a + 100 * (groups == "y")
    np.testing.assert_array_equal(statistics.centred_ranks(a, groups), statistics.centred_ranks(shifted, groups))


def test_the_interval_of_a_mean_is_near_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(2).standard_normal(400)
    low, high = statistics.interval(np.mean, values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.015)
