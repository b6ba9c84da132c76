"""SIFT over a whole matrix against `Sift` with all rows as candidates, and against fits from scratch."""

from __future__ import annotations

import tracemalloc
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selection_oracle import KINDS, problem, reference_gains, reference_sift, reference_variance

from whet.errors import InputError
from whet.selection import Sift, WholeChoice, choose_from_all, field, whole
from whet.selection.constraints import Constraints

SETTINGS = list(product(KINDS, (60, 300), (16, 48), (0.01, 0.3), (1, 3), range(3)))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few rows are looked at when picks are guessed that most guesses are wrong; several blocks even of few rows."""
    monkeypatch.setattr(field, "LEAST_ACTIVE", 3)
    monkeypatch.setattr(field, "ACTIVE_SHARE", 100)
    monkeypatch.setattr(whole, "SCAN_ROWS", 17)
    monkeypatch.setattr(whole, "CHECKED_ROWS", 23)
    monkeypatch.setattr(field, "SMALL_PRODUCT", 2000)


def assert_picks(result: WholeChoice, picks: list[int], candidates: np.ndarray, query: np.ndarray, noise: float) -> int:
    """The same picks up to a first one at which both gains are the same to rounding; how many are the same."""
    for i, (mine, other) in enumerate(zip(result.choice.indices.tolist(), picks, strict=True)):
        if mine != other:
            gains = reference_gains(candidates, query, noise, picks[:i])
            assert gains[mine] == pytest.approx(gains[other], rel=1e-9)
            return i
    return len(picks)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("replace", [True, False])
def test_is_sift_over_all_rows_though_most_guesses_are_wrong(replace: bool) -> None:
    reads, same = [], []
    for kind, rows, dimensions, noise, targets, seed in SETTINGS:
        candidates, query = problem(kind, rows, dimensions, targets, seed)
        result = choose_from_all(candidates, query, 20, noise=noise, replace=replace)
        expected = Sift(noise, replace=replace).choose(candidates, query, 20)
        same.append(assert_picks(result, expected.indices.tolist(), candidates, query, noise))
        np.testing.assert_allclose(result.choice.variances, expected.variances, rtol=0, atol=1e-9)
        np.testing.assert_allclose(result.choice.gains, expected.gains, rtol=0, atol=1e-9)
        assert result.certificate.tolist() == [1.0] * 20
        reads.append(result.reads)
    assert np.mean(np.array(same) == 20) > 0.95
    assert np.median(reads) >= 6  # the guesses were wrong, and mended
    assert max(reads) <= 20


@pytest.mark.usefixtures("narrow")
def test_picks_in_float32_are_those_of_float64_arithmetic() -> None:
    for kind, rows, dimensions, noise, targets, seed in SETTINGS:
        candidates, query = (a.astype(np.float32) for a in problem(kind, rows, dimensions, targets, seed))
        result = choose_from_all(candidates, query, 15, noise=noise)
        assert_picks(result, reference_sift(candidates, query, noise, 15), candidates, query, noise)
        picks = result.choice.indices.tolist()
        variances = [reference_variance(candidates, query, noise, picks[:i]) for i in range(16)]
        np.testing.assert_allclose(result.choice.variances, variances, rtol=0, atol=1e-9)


def test_right_guesses_spare_readings() -> None:
    candidates, query = problem("cap", 400, 32, 1, 0)
    result = choose_from_all(candidates, query, 50)
    assert result.choice.indices.tolist() == Sift(0.01).choose(candidates, query, 50).indices.tolist()
    assert result.reads <= 5


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("replace", [True, False])
def test_of_exact_copies_the_first_is_picked(dtype: type, replace: bool) -> None:
    originals, query = (a.astype(dtype) for a in problem("clustered", 40, 24, 1, 3))
    candidates = np.concatenate([originals] * 5)[np.random.default_rng(0).permutation(200)]
    picks = choose_from_all(candidates, query, 25, replace=replace).choice.indices.tolist()
    for i, pick in enumerate(picks):
        copies = np.flatnonzero((candidates == candidates[pick]).all(axis=1)).tolist()
        assert pick == min(c for c in copies if replace or c not in picks[:i])


@pytest.mark.usefixtures("narrow")
def test_a_matrix_of_one_vector_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field, "MOST_NEAR", 5)
    matrix = np.tile(np.array([[0.6, 0.8]], np.float32), (300, 1))
    result = choose_from_all(matrix, matrix[0], 10, replace=False)
    assert len(set(result.choice.indices.tolist())) == 10
    assert result.choice.variances[-1] == pytest.approx(0.01 / 10.01, rel=1e-5)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certificate_of_guessed_picks_is_their_share_of_the_best_gain(replace: bool, targets: int, dtype: type) -> None:
    shares = []
    for kind, seed in product(KINDS, range(5)):
        candidates, query = (a.astype(dtype) for a in problem(kind, 200, 32, targets, seed))
        result = choose_from_all(candidates, query, 12, replace=replace, exclude=[5, 6], exact=False)
        picks = result.choice.indices.tolist()
        assert result.reads == 2
        for i, pick in enumerate(picks):
            gains = reference_gains(candidates, query, 0.01, picks[:i])
            open_ = np.setdiff1d(np.arange(200), [5, 6, *(() if replace else picks[:i])])
            assert result.certificate[i] == pytest.approx(gains[pick] / gains[open_].max(), rel=1e-4)
            assert gains[pick] > 0
        variances = [reference_variance(candidates, query, 0.01, picks[:i]) for i in range(13)]
        np.testing.assert_allclose(result.choice.variances, variances, rtol=0, atol=1e-9)
        shares.append(result.certificate.min())
    assert (result.certificate <= 1).all()
    assert min(shares) < 0.9


def test_guesses_among_all_rows_are_certain() -> None:
    candidates, query = problem("clustered", 300, 16, 1, 0)
    result = choose_from_all(candidates, query, 10, exact=False)
    assert result.certificate.tolist() == [1.0] * 10
    assert result.choice.indices.tolist() == choose_from_all(candidates, query, 10).choice.indices.tolist()


@pytest.mark.parametrize("exact", [True, False])
def test_a_stop_rule_sees_what_it_sees_with_sift_and_leaves_a_prefix(exact: bool) -> None:
    candidates, query = problem("clustered", 200, 16, 2, 1)
    seen: list[list[tuple[int, float, float]]] = [[], []]

    def rule(calls: list[tuple[int, float, float]]) -> Any:
        return lambda *state: calls.append(state) or state[0] == 6

    result = choose_from_all(candidates, query, 15, stop=rule(seen[0]), exact=exact)
    expected = Sift(0.01).choose(candidates, query, 15, stop=rule(seen[1]))
    assert result.choice.stopped
    assert result.choice.indices.tolist() == expected.indices.tolist()
    assert len(result.certificate) == 6
    assert len(result.choice.variances) == 7
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-9)
    nothing = choose_from_all(candidates, query, 15, stop=lambda *_: True, exact=exact)
    assert (len(nothing.choice.indices), len(nothing.certificate), nothing.choice.stopped) == (0, 0, True)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("replace", [True, False])
def test_excluded_rows_are_never_picked(replace: bool) -> None:
    candidates, query = problem("clustered", 150, 16, 1, 2)
    barred = choose_from_all(candidates, query, 5).choice.indices
    expected = Sift(0.01, replace=replace).choose(candidates, query, 15, constraints=Constraints(exclude=barred))
    mask = np.isin(np.arange(150), barred)
    for exclude in (barred, barred.tolist(), mask):
        result = choose_from_all(candidates, query, 15, replace=replace, exclude=exclude)
        assert result.choice.indices.tolist() == expected.indices.tolist()


def test_one_pick_of_exact_needs_one_reading() -> None:
    candidates, query = problem("isotropic", 80, 8, 1, 0)
    result = choose_from_all(candidates, query, 1)
    assert result.reads == 1
    assert result.choice.indices.tolist() == [int(np.abs(candidates @ query[0]).argmax())]


def test_a_query_that_no_row_tells_about_leaves_the_first_rows() -> None:
    matrix = np.eye(4)[[0, 1, 2, 0]]
    result = choose_from_all(matrix, np.eye(4)[3], 2, exclude=[0], replace=False)
    assert result.choice.indices.tolist() == [1, 2]
    assert result.choice.variances.tolist() == [1, 1, 1]


@pytest.mark.parametrize("exact", [True, False])
def test_all_rows_may_be_taken(exact: bool) -> None:
    candidates, query = problem("isotropic", 40, 60, 1, 0)
    result = choose_from_all(candidates, query, 40, replace=False, exact=exact)
    assert sorted(result.choice.indices.tolist()) == list(range(40))


def test_a_matrix_on_disk_or_of_any_layout_gives_the_same(tmp_path: Path) -> None:
    candidates, query = (a.astype(np.float32) for a in problem("clustered", 200, 16, 1, 4))
    on_disk = np.memmap(tmp_path / "rows", np.float32, "w+", shape=candidates.shape)
    on_disk[:] = candidates
    on_disk.flush()
    read_only = np.memmap(tmp_path / "rows", np.float32, "r", shape=candidates.shape)
    expected = choose_from_all(candidates, query, 15).choice.indices.tolist()
    for matrix in (read_only, np.asfortranarray(candidates), np.repeat(candidates, 2, axis=0)[::2]):
        assert choose_from_all(matrix, query, 15).choice.indices.tolist() == expected
        assert choose_from_all(matrix, query[0], 15).choice.indices.tolist() == expected


def with_row(row: int, value: float, dtype: type = np.float64) -> np.ndarray:
    matrix = np.ones((2000, 3), dtype)
    matrix[row] = value
    return matrix


GOOD, QUERY = np.eye(4, 3) + 0.1, np.ones(3)
BAD: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "NaN": (with_row(1700, np.nan), QUERY, {}, "row 1700 of matrix is not finite"),
    "infinity": (with_row(3, np.inf), QUERY, {}, "row 3 of matrix is not finite"),
    "too large": (with_row(3, 1e200), QUERY, {}, "row 3 of matrix is not finite .* or too large"),
    "zero": (with_row(1999, 0), QUERY, {}, "row 1999 of matrix is zero"),
    "first row zero": (with_row(0, 0), QUERY, {}, "row 0 of .*matrix is zero"),
    "NaN query": (GOOD, QUERY * np.nan, {}, "row 0 of query is not finite"),
    "zero query": (GOOD, np.stack([QUERY, QUERY * 0]), {}, "row 1 of query is zero"),
    "no rows": (GOOD[:0], QUERY, {}, r"rows of matrix have shape \(0, 3\)"),
    "one row without its axis": (GOOD[0], QUERY, {}, "one vector a row"),
    "a list": (GOOD.tolist(), QUERY, {}, "matrix is a list"),
    "other dimension": (GOOD, np.ones(5), {}, "rows of matrix have 3 dimensions but query has 5"),
    "mixed types": (GOOD.astype(np.float32), QUERY, {}, "rows of matrix are float32 but query is float64"),
    "whole numbers": (GOOD.astype(int), QUERY, {}, "rows of matrix have dtype int64"),
    "no picks": (GOOD, QUERY, {"n": 0}, "n=0"),
    "half a pick": (GOOD, QUERY, {"n": 1.5}, "n=1.5"),
    "more than there are": (GOOD, QUERY, {"n": 4, "replace": False, "exclude": [1]}, "there are 3"),
    "no noise": (GOOD, QUERY, {"noise": 0.0}, "noise=0.0"),
    "drowned noise": (with_row(1500, 100, np.float32), QUERY.astype(np.float32), {}, "noise=0.01 drowns"),
    "exclude beyond": (GOOD, QUERY, {"exclude": [1, 4]}, "exclude=.*0 to 3"),
    "exclude below": (GOOD, QUERY, {"exclude": [-1]}, "exclude=.*0 to 3"),
    "exclude of another size": (GOOD, QUERY, {"exclude": np.zeros(3, bool)}, r"exclude has shape \(3,\)"),
    "exclude everything": (GOOD, QUERY, {"exclude": np.ones(4, bool)}, "none of the 4 candidates"),
}


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("case", list(BAD))
@pytest.mark.filterwarnings("error")
def test_refuses_what_it_cannot_use(case: str, exact: bool) -> None:
    matrix, query, arguments, message = BAD[case]
    with pytest.raises(InputError, match=message):
        choose_from_all(matrix, query, **{"n": 2, "exact": exact, **arguments})


@pytest.mark.parametrize("exact", [True, False])
def test_never_copies_the_matrix(exact: bool) -> None:
    matrix, query = (a.astype(np.float32) for a in problem("clustered", 20_000, 256, 1, 0))
    choose_from_all(matrix[:10], query, 2)  # what is imported at the first call counts for nothing
    tracemalloc.start()
    choose_from_all(matrix, query, 10, exclude=[0], exact=exact)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < matrix.nbytes / 4


def test_writes_to_nothing_that_it_is_given() -> None:
    candidates, query = problem("clustered", 200, 16, 1, 4)
    before = candidates.copy(), query.copy()
    candidates.setflags(write=False)
    for exact in (True, False):
        choose_from_all(candidates, query, 10, exact=exact)
    assert (candidates == before[0]).all()
    assert (query == before[1]).all()
