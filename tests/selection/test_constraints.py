"""Constraints against a greedy search that does nothing but follow their definitions."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_oracle import conditioned, problem, same_choice

from whet.errors import InputError
from whet.selection import Choice, Constraints, Nearest, Selector, Sift

NOISE = 0.05
SELECTORS = {"with": Sift(NOISE), "without": Sift(NOISE, replace=False), "nearest": Nearest(NOISE)}
HABITS = {"with": None, "without": 1, "nearest": 1}


def allowed(limits: Constraints, candidates: np.ndarray, query: np.ndarray, picks: list[int], habit: int | None) -> Any:
    """`(K,)`, whether each candidate may come after these picks."""
    size = len(candidates)
    exclude = np.asarray(limits.exclude)
    ruled_out = np.flatnonzero(exclude) if exclude.dtype == bool else exclude
    cost = np.ones(size) if limits.cost is None else np.asarray(limits.cost)
    most = limits.repeats or habit or math.inf
    counts = Counter(picks)
    groups = Counter(limits.group[i] for i in picks) if limits.group is not None else Counter()
    fits = []
    for i, row in enumerate(candidates):
        similar = max(row @ q / np.linalg.norm(row) / np.linalg.norm(q) for q in query)
        fits.append(
            i not in ruled_out
            and (limits.near_copy is None or similar < limits.near_copy)
            and (limits.budget is None or sum(cost[[*picks, i]]) <= limits.budget)
            and (limits.group is None or groups[limits.group[i]] < limits.per_group)
            and counts[i] < most
        )
    return np.array(fits)


def left(limits: Constraints, candidates: np.ndarray, query: np.ndarray, picks: list[int]) -> np.ndarray:
    """Covariance of the query's rows and the candidates after what is known and these picks."""
    known = np.empty((0, query.shape[1])) if limits.known is None else limits.known
    rows = np.concatenate([query, candidates, known])
    own = np.full(len(candidates), NOISE) if limits.noise is None else np.asarray(limits.noise)
    noise = np.concatenate([np.full(len(known), NOISE), own[picks]])
    observed = [*range(len(query) + len(candidates), len(rows)), *(len(query) + i for i in picks)]
    return conditioned(rows @ rows.T, observed, noise)


def naive(which: str, candidates: np.ndarray, query: np.ndarray, n: int, limits: Constraints) -> tuple[list[int], bool]:
    """The picks, and whether they ended for want of more."""
    m, size = len(query), len(candidates)
    own = np.full(size, NOISE) if limits.noise is None else np.asarray(limits.noise)
    picks: list[int] = []
    for _ in range(n):
        may = allowed(limits, candidates, query, picks, HABITS[which])
        if not may.any():
            return picks, True
        if which == "nearest":
            lengths = np.linalg.norm(candidates, axis=1)[:, None] * np.linalg.norm(query, axis=1)
            scores = (candidates @ query.T / lengths).mean(axis=1)
        else:
            now = left(limits, candidates, query, picks)[:, m : m + size]
            scores = np.square(now[:m]).sum(axis=0) / (np.diag(now[m:]) + own)
        if limits.cost is not None:
            scores = np.where(scores > 0, scores / limits.cost, scores)
        picks.append(int(np.where(may, scores, -math.inf).argmax()))
    return picks, False


def assert_is_naive(
    which: str, candidates: np.ndarray, query: np.ndarray, n: int, limits: Constraints, choice: Choice
) -> None:
    picks, exhausted = naive(which, candidates, query, n, limits)
    assert (choice.indices.tolist(), choice.exhausted, choice.stopped) == (picks, exhausted, False)
    prior = np.square(query).sum()
    shares = [
        np.trace(left(limits, candidates, query, picks[:i])[: len(query), : len(query)]) / prior
        for i in range(len(picks) + 1)
    ]
    np.testing.assert_allclose(choice.variances, shares, atol=1e-10)
    np.testing.assert_allclose(choice.gains, -np.diff(shares), atol=1e-10)


@st.composite
def limits(draw: st.DrawFn, size: int, dimensions: int) -> Constraints:
    """Any combination of constraints; numbers that add up without rounding."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    options: dict[str, Any] = {}
    kinds = ("rows", "mask", "near_copy", "noise", "cost", "budget", "group", "repeats", "known")
    chosen = draw(st.sets(st.sampled_from(kinds)))
    if "rows" in chosen:
        options["exclude"] = rng.choice(size, 3)
    if "mask" in chosen:
        options["exclude"] = rng.random(size) < 0.3
    if "near_copy" in chosen:
        options["near_copy"] = 0.8
    if "noise" in chosen:
        options["noise"] = rng.uniform(0.01, 2, size)
    if "cost" in chosen:
        options["cost"] = rng.integers(1, 12, size) / 4
    if "budget" in chosen:
        options["budget"] = float(rng.integers(3, 30) / 4)
    if "group" in chosen:
        options |= {"group": [f"source {g}" for g in rng.integers(3, size=size)], "per_group": int(rng.integers(1, 4))}
    if "repeats" in chosen:
        options["repeats"] = int(rng.integers(1, 4))
    if "known" in chosen:
        options["known"] = rng.standard_normal((int(rng.integers(1, 4)), dimensions))
    return Constraints(**options)


@pytest.mark.parametrize("which", list(SELECTORS))
@given(st.data(), st.integers(1, 3), st.integers(0, 2**16), st.integers(1, 12))
@settings(max_examples=80, deadline=None)
def test_any_combination_is_a_naive_greedy(which: str, data: st.DataObject, targets: int, seed: int, n: int) -> None:
    candidates, query = problem("cap", 14, 6, targets, seed)
    limit = data.draw(limits(14, 6))
    try:
        choice = SELECTORS[which].choose(candidates, query, n, constraints=limit)
    except InputError:
        assert not allowed(limit, candidates, query, [], None).any()
    else:
        assert_is_naive(which, candidates, query, n, limit, choice)


@pytest.mark.parametrize("which", list(SELECTORS))
@given(st.data(), st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_many_queries_have_each_their_own(which: str, data: st.DataObject, seed: int) -> None:
    problems = [problem("cap", 14, 6, 1 + i % 2, seed + i) for i in range(6)]
    each = [data.draw(st.none() | limits(14, 6)) for _ in problems]
    usable = [
        i
        for i, (p, limit) in enumerate(zip(problems, each, strict=True))
        if limit is None or allowed(limit, *p, [], None).any()
    ]
    candidates, queries = [problems[i][0] for i in usable], [problems[i][1] for i in usable]
    choices = SELECTORS[which].choose_many(candidates, queries, 8, constraints=[each[i] for i in usable])
    for place, i in enumerate(usable):
        assert_is_naive(which, *problems[i], 8, each[i] or Constraints(), choices[place])
        assert same_choice(choices[place], SELECTORS[which].choose(*problems[i], 8, constraints=each[i]))


CANDIDATES, QUERY = problem("cap", 6, 4, 1, 0)


@pytest.mark.parametrize("selector", SELECTORS.values(), ids=list(SELECTORS))
def test_what_is_left_ends_the_choice(selector: Selector) -> None:
    limit = Constraints(exclude=range(1, 6), repeats=2)
    choice = selector.choose(CANDIDATES, QUERY, 5, constraints=limit)
    assert choice.exhausted
    assert choice.indices.tolist() == [0, 0]
    assert (len(choice.variances), len(choice.gains)) == (3, 2)
    enough = selector.choose(CANDIDATES, QUERY, 2, constraints=limit)
    assert not enough.exhausted


@pytest.mark.parametrize("selector", SELECTORS.values(), ids=list(SELECTORS))
@pytest.mark.parametrize(
    "limit",
    [
        Constraints(exclude=range(6)),
        Constraints(exclude=np.ones(6, bool)),
        Constraints(near_copy=-1.0),
        Constraints(cost=np.full(6, 2.0), budget=1.0),
        Constraints(budget=0.5),
    ],
)
def test_nothing_left_at_the_start_is_an_error(selector: Selector, limit: Constraints) -> None:
    with pytest.raises(InputError, match="leave none of the 6 candidates"):
        selector.choose(CANDIDATES, QUERY, 2, constraints=limit)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_of_the_query_are_left_out(dtype: type) -> None:
    for seed in range(50):
        candidates, query = problem("cap", 20, 48, 2, seed)
        candidates[3], candidates[7] = query[1], 2 * query[0]
        limit = Constraints(near_copy=0.9999)
        choice = Sift().choose(candidates.astype(dtype), query.astype(dtype), 10, constraints=limit)
        assert not {3, 7} & set(choice.indices.tolist())


def test_only_exact_copies_are_left_out_at_a_cosine_of_one() -> None:
    for seed in range(50):
        candidates, query = problem("cap", 20, 48, 1, seed)
        candidates[3] = query[0]
        choice = Sift().choose(candidates, query, 10, constraints=Constraints(near_copy=1.0))
        assert 3 not in choice.indices


def test_a_budget_of_three_tenths_pays_for_three_picks_of_a_tenth() -> None:
    choice = Sift().choose(CANDIDATES, QUERY, 6, constraints=Constraints(cost=np.full(6, 0.1), budget=0.3))
    assert len(choice.indices) == 3


@pytest.mark.parametrize(
    "selector",
    [
        SELECTORS["with"],
        SELECTORS["nearest"],
    ],
)
def test_a_choice_that_was_stopped_is_not_exhausted(selector: Selector) -> None:
    choice = selector.choose(
        CANDIDATES, QUERY, 5, stop=lambda picked, *_: picked == 1, constraints=Constraints(budget=3)
    )
    assert choice.stopped
    assert not choice.exhausted


def test_the_stop_rule_is_not_asked_when_nothing_can_be_picked() -> None:
    asked = []
    limit = Constraints(budget=3)
    choice = Sift().choose(CANDIDATES, QUERY, 5, stop=lambda *a: bool(asked.append(a)), constraints=limit)
    assert choice.exhausted
    assert [a[0] for a in asked] == [0, 1, 2]


BAD = {
    "near_copy": ({"near_copy": 1.5}, "near_copy=1.5"),
    "NaN near_copy": ({"near_copy": math.nan}, "near_copy=nan"),
    "no budget": ({"budget": 0}, "budget=0"),
    "NaN budget": ({"budget": math.nan}, "budget=nan"),
    "none of a group": ({"group": "aabbcc", "per_group": 0}, "per_group=0"),
    "half of a group": ({"group": "aabbcc", "per_group": 1.5}, "per_group=1.5"),
    "no repeats": ({"repeats": 0}, "repeats=0"),
    "repeats as truth": ({"repeats": True}, "repeats=True"),
    "group without its cap": ({"group": "aabbcc"}, "group and per_group"),
    "cap without its group": ({"per_group": 2}, "group and per_group"),
    "too few groups": ({"group": "aab", "per_group": 1}, "group has 3 entries for 6 candidates"),
    "too few noises": ({"noise": np.ones(5)}, r"noise has shape \(5,\) for 6 candidates"),
    "NaN noise": ({"noise": np.full(6, math.nan)}, "noise of candidate 0 is nan"),
    "too few costs": ({"cost": np.ones(5)}, r"cost has shape \(5,\) for 6 candidates"),
    "free": ({"cost": np.array([1, 1, 0, 1, 1, 1])}, "cost of candidate 2 is 0"),
    "NaN cost": ({"cost": np.full(6, math.nan)}, "cost of candidate 0 is nan"),
    "row from the end": ({"exclude": [-1]}, r"exclude=\[-1\].*0 to 5"),
    "row beyond": ({"exclude": [6]}, r"exclude=\[6\].*0 to 5"),
    "row and a half": ({"exclude": [1.5]}, r"exclude=\[1.5\]"),
    "short mask": ({"exclude": np.ones(5, bool)}, r"exclude has shape \(5,\) for 6 candidates"),
}
NOT_YET = {
    "no noise": ({"noise": np.array([1, 1, 0, 1, 1, 1])}, "noise of candidate 2 is 0"),
    "negative noise": ({"noise": np.full(6, -1.0)}, "noise of candidate 0 is -1"),
    "words for noises": ({"noise": ["a"] * 6}, "noise"),
    "words for costs": ({"cost": ["a"] * 6}, "cost"),
    "word for the budget": ({"budget": "all"}, "budget"),
    "word for near_copy": ({"near_copy": "1"}, "near_copy"),
    "NaN context": ({"known": QUERY * np.nan}, "row 0 of known"),
    "context of another dimension": ({"known": np.ones((1, 5))}, "known"),
    "context of whole numbers": ({"known": np.ones((1, 4), int)}, "known"),
    "lists as groups": ({"group": [[1]] * 6, "per_group": 1}, "group"),
    "no group known": ({"group": np.full(6, math.nan), "per_group": 1}, "group"),
    "ragged rows": ({"exclude": [[1], [1, 2]]}, "exclude"),
}


@pytest.mark.parametrize("selector", SELECTORS.values(), ids=list(SELECTORS))
@pytest.mark.parametrize("case", list(BAD))
def test_refuses_what_it_cannot_use(selector: Selector, case: str) -> None:
    options, message = BAD[case]
    with pytest.raises(InputError, match=message):
        selector.choose(CANDIDATES, QUERY, 2, constraints=Constraints(**options))


@pytest.mark.parametrize("case", list(NOT_YET))
def test_names_what_does_not_fit(case: str) -> None:
    options, message = NOT_YET[case]
    with pytest.raises(InputError, match=message):
        Sift().choose(CANDIDATES, QUERY, 2, constraints=Constraints(**options))
