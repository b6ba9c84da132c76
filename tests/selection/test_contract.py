"""What every selector of the registry promises, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from selection_oracle import problem, reference_variance

from whet.errors import InputError
from whet.selection import SELECTORS, Choice, Predictions, Selector

NAMES = list(SELECTORS)


def choose(selector: Selector, candidates: np.ndarray, query: np.ndarray, n: int, **options: object) -> Choice:
    """With predictions, for those that judge by them."""
    draws = [
        np.random.default_rng(seed).dirichlet(np.ones(4), len(rows))
        for seed, rows in ((0, candidates), (1, np.atleast_2d(query)))
    ]
    return selector.choose(candidates, query, n, predictions=Predictions(*draws), **options)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reports_the_variance_that_its_picks_leave(name: str, targets: int, dtype: type) -> None:
    candidates, query = (part.astype(dtype) for part in problem("clustered", 40, 16, targets, 5))
    choice = choose(SELECTORS[name](noise=0.05), candidates, query, 12)
    picks = choice.indices.tolist()
    variances = [reference_variance(candidates, query, 0.05, picks[:i]) for i in range(13)]
    np.testing.assert_allclose(choice.variances, variances, atol=1e-12 if dtype is np.float64 else 2e-6)
    np.testing.assert_allclose(choice.gains, -np.diff(variances), atol=1e-12 if dtype is np.float64 else 2e-6)
    assert (choice.indices.dtype, choice.variances.dtype, choice.gains.dtype) == (np.int64, np.float64, np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_has_its_name_and_is_a_value(name: str) -> None:
    assert SELECTORS[name]().name == name
    assert SELECTORS[name](noise=0.3) == SELECTORS[name](noise=0.3) != SELECTORS[name](noise=0.4)


@pytest.mark.parametrize("name", NAMES)
def test_is_deterministic_and_stops_at_a_prefix(name: str) -> None:
    candidates, query = problem("cap", 40, 16, 1, 5)
    full = choose(SELECTORS[name](), candidates, query, 12)
    part = choose(SELECTORS[name](), candidates, query, 12, stop=lambda picked, *_: picked == 5)
    assert part.stopped
    assert part.indices.tolist() == full.indices[:5].tolist()
    assert part.variances.tolist() == full.variances[:6].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_query_vector_is_a_query_of_one_row(name: str) -> None:
    candidates, query = problem("cap", 40, 16, 1, 5)
    one, row = (choose(SELECTORS[name](), candidates, q, 8) for q in (query[0], query))
    assert one.indices.tolist() == row.indices.tolist()


def spoilt(row: int, value: float) -> np.ndarray:
    candidates = np.ones((4, 3))
    candidates[row] = value
    return candidates


GOOD, QUERY = np.eye(4, 3) + 0.1, np.ones(3)
BAD = {
    "NaN": (spoilt(2, np.nan), QUERY, 2, "row 2 of candidates is not finite"),
    "infinity": (spoilt(1, np.inf), QUERY, 2, "row 1 of candidates is not finite"),
    "zero": (spoilt(3, 0), QUERY, 2, "row 3 of candidates is zero"),
    "too large": (spoilt(3, 1e200), QUERY, 2, "row 3 of candidates is not finite .* or too large"),
    "NaN query": (GOOD, QUERY * np.nan, 2, "row 0 of query is not finite"),
    "zero query": (GOOD, QUERY * 0, 2, "row 0 of query is zero"),
    "no candidates": (GOOD[:0], QUERY, 2, r"candidates have shape \(0, 3\)"),
    "no query": (GOOD, np.ones((0, 3)), 2, r"query have shape \(0, 3\)"),
    "one candidate without its axis": (GOOD[0], QUERY, 2, r"candidates have shape \(3,\)"),
    "a number as query": (GOOD, np.float64(1), 2, r"query have shape \(\)"),
    "too many axes": (GOOD, np.ones((1, 1, 3)), 2, r"query have shape \(1, 1, 3\)"),
    "other dimension": (GOOD, np.ones(5), 2, "candidates have 3 dimensions but query has 5"),
    "mixed types": (GOOD.astype(np.float32), QUERY, 2, "candidates are float32 but query is float64"),
    "whole numbers": (GOOD.astype(int), QUERY, 2, "candidates have dtype int64"),
    "half precision": (GOOD, QUERY.astype(np.float16), 2, "query have dtype float16"),
    "no picks": (GOOD, QUERY, 0, "n=0"),
    "negative": (GOOD, QUERY, -1, "n=-1"),
    "half a pick": (GOOD, QUERY, 1.5, "n=1.5"),
    "truth": (GOOD, QUERY, True, "n=True"),
    "drowned noise": (GOOD.astype(np.float32) * 100, QUERY.astype(np.float32), 2, "noise=0.01 drowns"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", list(BAD))
@pytest.mark.filterwarnings("error")
def test_refuses_what_it_cannot_use(name: str, case: str) -> None:
    candidates, query, n, message = BAD[case]
    with pytest.raises(InputError, match=message):
        SELECTORS[name]().choose(candidates, query, n)
