"""What is said of a selection: every number as a fit from scratch gives it, every reason as it is defined."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from selection_oracle import KINDS, problem, reference_gains, reference_variance, unit_vectors

from whet.errors import InputError
from whet.selection import SELECTORS, Choice, Constraints, Explanation, Nearest, Random, Sift, explain
from whet.selection.explanation import REDUNDANT

NOISE = 0.05


def explained(kind: str = "clustered", targets: int = 1, n: int = 6, nearest: int = 10) -> tuple[np.ndarray, ...]:
    candidates, query = problem(kind, 40, 16, targets, 3)
    choice = Sift(NOISE).choose(candidates, query, n)
    return candidates, query, choice, explain(candidates, query, choice, noise=NOISE, nearest=nearest)


def reasons(explanation: Explanation) -> list[str]:
    return [passed.reason for passed in explanation.passed_over]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("targets", [1, 3])
def test_gains_and_variances_of_the_picks_are_those_of_a_fit_from_scratch(kind: str, targets: int) -> None:
    candidates, query, choice, explanation = explained(kind, targets)
    prior = np.square(query).sum()
    picks = choice.indices.tolist()
    for i, pick in enumerate(explanation.picks):
        gain = reference_gains(candidates, query, NOISE, picks[:i])[picks[i]] / prior
        alone = reference_gains(candidates, query, NOISE, [])[picks[i]] / prior
        assert pick.row == picks[i]
        assert pick.gain == pytest.approx(gain, abs=1e-12)
        assert pick.alone == pytest.approx(alone, abs=1e-12)
        assert pick.taken == pytest.approx(1 - gain / alone, abs=1e-6)
        assert pick.variance == pytest.approx(reference_variance(candidates, query, NOISE, picks[: i + 1]), abs=1e-12)
        assert pick.before == picks[:i].count(picks[i])
        assert pick.cosine == pytest.approx(float((query @ candidates[picks[i]]).mean()))
    assert explanation.picks[0].taken == 0
    assert explanation.picks[0].like is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("targets", [1, 3])
def test_the_neighbours_passed_over_are_the_nearest_that_were_not_picked(kind: str, targets: int) -> None:
    candidates, query, choice, explanation = explained(kind, targets)
    picks, prior = choice.indices.tolist(), np.square(query).sum()
    order = np.argsort(-(candidates @ query.T).mean(axis=1), kind="stable")[:10].tolist()
    left = reference_gains(candidates, query, NOISE, picks) / prior
    alone = reference_gains(candidates, query, NOISE, []) / prior
    assert [passed.row for passed in explanation.passed_over] == [row for row in order if row not in picks]
    for passed in explanation.passed_over:
        assert order[passed.rank - 1] == passed.row
        assert passed.gain == pytest.approx(left[passed.row], abs=1e-12)
        assert passed.alone == pytest.approx(alone[passed.row], abs=1e-12)
        assert passed.taken == pytest.approx(1 - left[passed.row] / alone[passed.row], abs=1e-6)


def test_what_each_one_resembles_most_is_found() -> None:
    candidates, _, choice, explanation = explained(n=8)
    picks = choice.indices.tolist()
    cosines = candidates @ candidates.T
    for i, pick in enumerate(explanation.picks[1:], start=1):
        assert pick.like is not None
        assert abs(pick.like.cosine) == pytest.approx(np.abs(cosines[pick.row, picks[:i]]).max())
        assert pick.like.cosine == pytest.approx(cosines[pick.row, pick.like.row])
        assert pick.like.pick == picks.index(pick.like.row) + 1
    nearer = [passed.row for passed in explanation.passed_over]
    for passed in explanation.passed_over:
        others = [*picks, *nearer[: nearer.index(passed.row)]]
        assert passed.like is not None
        assert passed.pick is not None
        assert abs(passed.like.cosine) == pytest.approx(np.abs(cosines[passed.row, others]).max())
        assert (passed.like.pick is None) == (passed.like.row not in picks)
        assert passed.like.words == (
            f"pick {passed.like.pick}" if passed.like.pick else f"neighbour {passed.like.rank}"
        )
        assert abs(cosines[passed.row, picks[passed.pick - 1]]) == pytest.approx(
            np.abs(cosines[passed.row, picks]).max()
        )


def test_a_copy_of_a_pick_is_redundant_with_the_first_of_equal_ones() -> None:
    candidates, query = problem("isotropic", 20, 8, 1, 1)
    candidates = np.concatenate([candidates, candidates])
    choice = Sift(NOISE).choose(candidates, query, 3, constraints=Constraints(repeats=1))
    (passed, *_) = explain(candidates, query, choice, noise=NOISE).passed_over
    first = int(choice.indices[0])
    assert first < 20
    again = Choice(np.array([first, first + 20, first]), choice.variances, choice.gains, stopped=False)
    explanation = explain(candidates, query, again, noise=NOISE)
    assert [pick.before for pick in explanation.picks] == [0, 0, 1]
    assert explanation.picks[2].like == explanation.picks[1].like
    assert explanation.picks[1].like is not None
    assert (explanation.picks[1].like.row, explanation.picks[1].like.pick) == (first, 1)
    assert explanation.picks[1].like.cosine == pytest.approx(1)
    assert passed.reason in ("redundant", "less informative")


@pytest.mark.parametrize("name", ["sift", "vtl", "nearest", "random", "repeat"])
def test_every_reason_is_as_it_is_defined(name: str) -> None:
    candidates, query = problem("clustered", 40, 16, 1, 3)
    choice = SELECTORS[name](noise=NOISE).choose(candidates, query, 5)
    explanation = explain(candidates, query, choice, noise=NOISE, nearest=40)
    last = explanation.picks[-1].gain
    for passed in explanation.passed_over:
        if passed.gain > last * 1.001:
            assert passed.reason == "missed"
        elif passed.gain < last:
            assert passed.reason == ("redundant" if passed.taken >= REDUNDANT else "less informative")
        assert passed.words == (f"redundant with pick {passed.pick}" if passed.reason == "redundant" else passed.reason)


def test_sift_misses_nothing_and_a_random_draw_misses_much() -> None:
    candidates, query = problem("clustered", 200, 16, 1, 3)
    choices = [selector.choose(candidates, query, 5) for selector in (Sift(NOISE), Random(NOISE))]
    chosen, drawn = (reasons(explain(candidates, query, c, noise=NOISE, nearest=50)) for c in choices)
    assert "missed" not in chosen
    assert "redundant" in chosen
    assert drawn.count("missed") > 10


def test_what_the_constraints_forbid_is_excluded() -> None:
    candidates, query = problem("clustered", 40, 16, 1, 3)
    groups = [row % 4 for row in range(40)]
    limits = Constraints(exclude=[1, 2], near_copy=0.7, group=groups, per_group=1)
    choice = Sift(NOISE).choose(candidates, query, 3, constraints=limits)
    explanation = explain(candidates, query, choice, noise=NOISE, nearest=40, constraints=limits)
    full = {groups[row] for row in choice.indices.tolist()}
    for passed in explanation.passed_over:
        forbidden = passed.row in (1, 2) or passed.cosine >= 0.7 or groups[passed.row] in full
        assert (passed.reason == "excluded") == forbidden
    assert 0 < reasons(explanation).count("excluded") < len(explanation.passed_over)


def test_a_spent_budget_excludes_and_gains_are_weighed_by_cost() -> None:
    candidates, query = np.eye(3), np.array([1.0, 0.9, 0.1])
    cost = [10.0, 1.0, 1.0]
    limits = Constraints(cost=cost, budget=11.5, repeats=1)
    cheap = explain(candidates, query, Choice(np.array([1]), np.ones(2), np.ones(1), stopped=False), noise=NOISE)
    assert reasons(cheap) == ["missed", "less informative"]
    weighed = explain(
        candidates,
        query,
        Choice(np.array([1]), np.ones(2), np.ones(1), stopped=False),
        noise=NOISE,
        constraints=limits,
    )
    assert reasons(weighed) == ["less informative", "less informative"]
    spent = Choice(np.array([1, 0]), np.ones(3), np.ones(2), stopped=False)
    assert reasons(explain(candidates, query, spent, noise=NOISE, constraints=limits)) == ["excluded"]


def test_what_is_known_and_how_noisy_each_one_is_are_taken_into_account() -> None:
    candidates, query = problem("clustered", 30, 12, 1, 5)
    limits = Constraints(known=candidates[:2], noise=np.linspace(0.05, 0.5, 30))
    choice = Sift(NOISE).choose(candidates, query, 5, constraints=limits)
    explanation = explain(candidates, query, choice, noise=NOISE, constraints=limits)
    np.testing.assert_allclose([pick.gain for pick in explanation.picks], choice.gains, atol=1e-12)
    np.testing.assert_allclose([pick.variance for pick in explanation.picks], choice.variances[1:], atol=1e-12)


def test_another_kernel_is_that_of_the_gains() -> None:
    class Squared:
        def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return (a @ b.swapaxes(-1, -2)) ** 2

        def diagonal(self, a: np.ndarray) -> np.ndarray:
            return np.einsum("...d,...d->...", a, a) ** 2

    candidates, query = problem("clustered", 30, 12, 1, 5)
    choice = Sift(NOISE, kernel=Squared()).choose(candidates, query, 5)
    explanation = explain(candidates, query, choice, noise=NOISE, kernel=Squared())
    np.testing.assert_allclose([pick.gain for pick in explanation.picks], choice.gains, atol=1e-12)


@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 8),
    nearest=st.integers(1, 30),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_the_numbers_add_up(seed: int, kind: str, n: int, nearest: int, dtype: type) -> None:
    candidates, query = (part.astype(dtype) for part in problem(kind, 20, 8, 1, seed))
    choice = Sift(NOISE).choose(candidates, query, n)
    explanation = explain(candidates, query, choice, noise=NOISE, nearest=nearest)
    assert 1 - sum(pick.gain for pick in explanation.picks) == pytest.approx(explanation.picks[-1].variance, abs=1e-9)
    assert len({pick.row for pick in explanation.picks} & {passed.row for passed in explanation.passed_over}) == 0
    assert [p.rank for p in explanation.passed_over] == sorted({p.rank for p in explanation.passed_over})
    assert len(explanation.passed_over) <= min(nearest, 20)
    assert all(p.gain >= 0 and p.taken <= 1 for p in (*explanation.picks, *explanation.passed_over))
    json.dumps(asdict(explanation), allow_nan=False)


def test_torch_gives_the_same() -> None:
    torch = pytest.importorskip("torch")
    candidates, query, choice, explanation = explained()
    tensors = (torch.from_numpy(candidates), torch.from_numpy(query))
    assert explain(*tensors, choice, noise=NOISE) == explanation


def test_nothing_depends_on_the_order_of_the_candidates() -> None:
    candidates, query, choice, explanation = explained("isotropic")
    order = np.random.default_rng(0).permutation(len(candidates))
    moved = Choice(np.argsort(order)[choice.indices], choice.variances, choice.gains, stopped=False)
    again = explain(candidates[order], query, moved, noise=NOISE)
    assert [order[pick.row] for pick in again.picks] == [pick.row for pick in explanation.picks]
    assert [(order[p.row], p.rank, p.words) for p in again.passed_over] == [
        (p.row, p.rank, p.words) for p in explanation.passed_over
    ]


def test_a_choice_without_picks_has_none_to_blame() -> None:
    candidates, query = problem("cap", 20, 8, 1, 0)
    choice = Sift(NOISE).choose(candidates, query, 3, stop=lambda *_: True)
    explanation = explain(candidates, query, choice, noise=NOISE, nearest=3)
    assert explanation.picks == ()
    assert [passed.pick for passed in explanation.passed_over] == [None] * 3
    assert explanation.passed_over[0].like is None
    assert explanation.passed_over[2].like is not None


def test_what_tells_only_after_another_pick_has_nothing_to_be_taken() -> None:
    query = np.array([1.0, 0.0])
    candidates = np.array([unit_vectors(np.array([[1.0, 1.0]]))[0], [0.0, 1.0]])
    choice = Choice(np.array([0, 1]), np.ones(3), np.ones(2), stopped=False)
    second = explain(candidates, query, choice, noise=NOISE).picks[1]
    assert (second.alone, second.taken) == (0, 0)
    assert second.gain > 0.1


def test_wrong_arguments_are_named() -> None:
    candidates, query = problem("cap", 20, 8, 1, 0)
    choice = Nearest().choose(candidates, query, 3)
    with pytest.raises(InputError, match="nearest=0"):
        explain(candidates, query, choice, noise=NOISE, nearest=0)
    with pytest.raises(InputError, match="indices go from"):
        explain(candidates[:1], query, choice, noise=NOISE)
    with pytest.raises(InputError, match="noise=-1"):
        explain(candidates, query, choice, noise=-1.0)
    with pytest.raises(InputError, match="cost has shape"):
        explain(candidates, query, choice, noise=NOISE, constraints=Constraints(cost=[1.0]))
