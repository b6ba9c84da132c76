"""Choosing for many queries at once is choosing for each, bit for bit; and problems with hardly anything to choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from selection_oracle import Rbf, problem, same_choice

from whet.errors import InputError
from whet.selection import SELECTORS, Constraints, Predictions, Selector, Sift, Vtl, sift
from whet.selection.criteria import PosteriorSelector
from whet.selection.posterior import WHOLE_KERNEL

PICKS = 6
SIZES = (7, PICKS * WHOLE_KERNEL, PICKS * WHOLE_KERNEL + 1, 60)
"""Of the candidates: on both sides of where their whole kernel is computed."""

BY_POSTERIOR = [name for name, make in SELECTORS.items() if isinstance(make(), PosteriorSelector)]


@pytest.fixture(params=["compiled", "arrays"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled loop of SIFT, and without."""
    if request.param == "arrays":
        monkeypatch.setattr(sift, "compilable", lambda: False)


def queries(count: int, dtype: type, seed: int = 0, sizes: tuple[int, ...] = SIZES) -> list[dict[str, Any]]:
    """Candidates and query of different sizes, in order, and what a classifier says of them."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        rows, targets = int(rng.choice(sizes)), int(rng.choice([1, 3]))
        candidates, query = problem(("cap", "clustered")[i % 2], rows, 17, targets, 1000 * seed + i)
        said = Predictions(rng.dirichlet(np.ones(3), rows), rng.dirichlet(np.ones(3), targets))
        made.append({"candidates": candidates.astype(dtype), "query": query.astype(dtype), "predictions": said})
    return made


def mixed(count: int, rows: int, dtype: type, seed: int) -> list[Constraints | None]:
    """Constraints of all kinds, and none for some."""
    rng = np.random.default_rng(seed)
    made: list[Constraints | None] = []
    for _ in range(count):
        options: dict[str, Any] = {
            "exclude": rng.choice(rows, 2, replace=False),
            "near_copy": 0.95,
            "noise": rng.uniform(0.01, 2, rows),
            "cost": rng.uniform(0.5, 2, rows),
            "budget": 5.0,
            "repeats": int(rng.integers(1, 4)),
            "known": rng.standard_normal((2, 17)).astype(dtype),
        }
        kept = {name: value for name, value in options.items() if rng.random() < 0.4}
        if rng.random() < 0.4:
            kept |= {"group": rng.integers(4, size=rows), "per_group": 2}
        made.append(Constraints(**kept) if kept and rng.random() < 0.8 else None)
    return made


def assert_each_is_as_alone(selector: Selector, asked: list[dict[str, Any]], n: int, stop: Any = None) -> None:
    together = selector.choose_many(
        [a["candidates"] for a in asked],
        [a["query"] for a in asked],
        n,
        stop=stop,
        constraints=[a.get("constraints") for a in asked],
        predictions=[a["predictions"] for a in asked],
    )
    assert len(together) == len(asked)
    for i, a in enumerate(asked):
        assert same_choice(together[i], selector.choose(**a, n=n, stop=stop)), i


@pytest.mark.parametrize("name", list(SELECTORS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_queries_of_any_sizes_are_answered_as_alone(name: str, dtype: type) -> None:
    assert_each_is_as_alone(SELECTORS[name](noise=0.05), queries(9, dtype), PICKS)


@pytest.mark.parametrize("name", BY_POSTERIOR)
@pytest.mark.parametrize("batch", [1, 2, 7, 64])
@pytest.mark.usefixtures("loop")
def test_queries_of_one_size_are_answered_as_alone(name: str, batch: int) -> None:
    for dtype, rows in ((np.float32, 20), (np.float64, 20), (np.float32, 30)):
        assert_each_is_as_alone(SELECTORS[name](noise=0.05), queries(batch, dtype, sizes=(rows,)), PICKS)


@pytest.mark.parametrize("name", [*BY_POSTERIOR, "nearest", "mmr"])
@pytest.mark.parametrize("rows", [20, 40])
@pytest.mark.usefixtures("loop")
def test_constraints_of_all_kinds_change_nothing_about_that(name: str, rows: int) -> None:
    for dtype in (np.float32, np.float64):
        asked = queries(12, dtype, 1, sizes=(rows,))
        for a, limit in zip(asked, mixed(12, rows, dtype, rows), strict=True):
            a["constraints"] = limit
        assert_each_is_as_alone(SELECTORS[name](noise=0.05), asked, PICKS)


@pytest.mark.parametrize("name", [*BY_POSTERIOR, "nearest"])
@pytest.mark.usefixtures("loop")
def test_each_query_is_stopped_as_alone(name: str) -> None:
    def stop(picked: int, variance: float, proposed: float, /) -> bool:
        return variance - proposed < 0.01 or picked == 5

    selector, asked = SELECTORS[name](noise=0.05), queries(12, np.float64, 2, sizes=(20, 40))
    assert len({len(selector.choose(**a, n=PICKS, stop=stop).indices) for a in asked}) > 1
    assert_each_is_as_alone(selector, asked, PICKS, stop)


@pytest.mark.parametrize("selector", [Sift(0.05), Vtl(0.05), Sift(0.05, kernel=Rbf(1.5))], ids=["sift", "vtl", "rbf"])
@pytest.mark.usefixtures("loop")
def test_the_order_of_the_queries_does_not_matter(selector: Selector) -> None:
    asked = queries(20, np.float32, 3)
    order = np.random.default_rng(0).permutation(20)
    first = selector.choose_many([a["candidates"] for a in asked], [a["query"] for a in asked], PICKS)
    second = selector.choose_many([asked[i]["candidates"] for i in order], [asked[i]["query"] for i in order], PICKS)
    assert all(same_choice(first[i], choice) for i, choice in zip(order, second, strict=True))


def test_large_problems_are_dealt_with_in_several_goes_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sift, "compilable", lambda: False)
    assert_each_is_as_alone(Sift(0.05), queries(12, np.float32, 4, sizes=(600,)), 150)


@pytest.mark.parametrize("name", ["sift", "vtl"])
def test_the_compiled_loop_picks_what_arrays_pick(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [None, Constraints(exclude=range(4), repeats=3), Constraints(noise=np.linspace(0.01, 1, 40))]
    for i, a in enumerate(queries(18, np.float64, 5, sizes=(40,))):
        options = {"candidates": a["candidates"], "query": a["query"], "n": 15, "constraints": limits[i % 3]}
        compiled = SELECTORS[name](noise=0.05).choose(**options)
        with monkeypatch.context() as patch:
            patch.setattr(sift, "compilable", lambda: False)
            arrays = SELECTORS[name](noise=0.05).choose(**options)
        assert compiled.indices.tolist() == arrays.indices.tolist()
        np.testing.assert_allclose(compiled.gains, arrays.gains, atol=1e-13)


def test_no_queries_get_no_answers() -> None:
    assert Sift().choose_many([], [], 3) == SELECTORS["nearest"]().choose_many([], [], 3) == []


CANDIDATES, QUERY = problem("cap", 8, 4, 1, 0)


@pytest.mark.parametrize("selector", [Sift(), SELECTORS["nearest"]()], ids=["sift", "nearest"])
def test_unequal_numbers_are_refused(selector: Selector) -> None:
    with pytest.raises(InputError, match="candidates are not given for each of the 1 queries"):
        selector.choose_many([CANDIDATES] * 2, [QUERY], 2)
    with pytest.raises(InputError, match="constraints are not given for each of the 2 queries"):
        selector.choose_many([CANDIDATES] * 2, [QUERY] * 2, 2, constraints=[None])


@pytest.mark.parametrize("selector", [Sift(), SELECTORS["nearest"]()], ids=["sift", "nearest"])
def test_unequally_many_predictions_are_refused(selector: Selector) -> None:
    with pytest.raises(InputError, match="predictions"):
        selector.choose_many([CANDIDATES] * 2, [QUERY] * 2, 2, predictions=[None])


@pytest.mark.parametrize("selector", [Sift(), SELECTORS["nearest"]()], ids=["sift", "nearest"])
@pytest.mark.parametrize("fault", ["constraints", "query"])
def test_an_error_names_the_query_that_it_is_about(selector: Selector, fault: str) -> None:
    limits = [None, None, Constraints(exclude=range(8)) if fault == "constraints" else None]
    asked = [QUERY, QUERY, QUERY if fault == "constraints" else QUERY * np.nan]
    with pytest.raises(InputError, match="query 2"):
        selector.choose_many([CANDIDATES] * 3, asked, 2, constraints=limits)


def test_a_stop_rule_is_not_asked_about_a_query_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sift, "compilable", lambda: False)
    counts = []
    for many in (True, False):
        asked: list[int] = []

        def stop(picked: int, variance: float, proposed: float, /, asked: list[int] = asked) -> bool:
            asked.append(picked)
            return variance - proposed < 0.01

        queries_ = queries(6, np.float64, 6, sizes=(20,))
        if many:
            Sift().choose_many([a["candidates"] for a in queries_], [a["query"] for a in queries_], 6, stop=stop)
        else:
            for a in queries_:
                Sift().choose(a["candidates"], a["query"], 6, stop=stop)
        counts.append(sorted(asked))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", ["vtl", "itl", "mm-itl", "ctl", "undirected-vtl", "facility", "density"])
def test_of_equal_candidates_the_lowest_index_comes_first(name: str) -> None:
    for seed in range(40):
        candidates, query = problem("cap", 4 + seed % 5, (3, 16, 65, 384)[seed % 4], 1 + seed % 3, seed)
        order = np.random.default_rng(seed).permutation(3 * len(candidates))
        rows = np.concatenate([candidates] * 3)[order]
        taken: set[int] = set()
        for index in SELECTORS[name]().choose(rows, query, 6).indices.tolist():
            equal = set(np.flatnonzero((rows == rows[index]).all(axis=1)).tolist())
            assert index == min(equal - taken)
            taken.add(index)


def test_a_kernel_of_the_user_is_used_throughout() -> None:
    for selector in (Sift(0.05, kernel=Rbf(1.5)), SELECTORS["itl"](0.05, kernel=Rbf(1.5))):
        assert_each_is_as_alone(selector, queries(6, np.float64, 7), PICKS)


def test_a_bounded_kernel_takes_long_vectors_in_float32() -> None:
    rows, query = (CANDIDATES * 200).astype(np.float32), (QUERY * 200).astype(np.float32)
    choice = Sift(0.01, kernel=Rbf(200.0)).choose(rows, query, 3)
    assert choice.indices.tolist() == Sift(0.01, kernel=Rbf(1.0)).choose(CANDIDATES, QUERY, 3).indices.tolist()


def small(dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    candidates, query = problem("cap", 20, 12, 1, 0)
    return candidates.astype(dtype), query.astype(dtype)


KINDS: dict[str, Callable[[Any], Any]] = {"array": np.asarray, "tensor": torch.tensor}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
@pytest.mark.parametrize("name", ["sift", "vtl", "itl", "ctl", "mm-itl", "density", "nearest", "undirected-vtl"])
class TestDegenerateProblems:
    """Where scores are all alike, or there is hardly anything to choose from."""

    def choose(self, name: str, kind: Any, candidates: Any, query: Any, n: int) -> list[int]:
        choice = SELECTORS[name]().choose(kind(np.array(candidates)), kind(np.array(query)), n)
        assert np.isfinite(choice.variances).all()
        assert (choice.gains >= 0).all()
        assert len(choice.indices) == n
        return choice.indices.tolist()

    def test_a_query_at_right_angles_to_everything(self, name: str, kind: Any) -> None:
        expected = [0, 0, 0] if name == "sift" else [0, 1, 2]
        assert self.choose(name, kind, np.eye(6)[:4], np.eye(6)[5], 3) == expected

    def test_candidates_that_are_all_equal(self, name: str, kind: Any) -> None:
        expected = [0, 0, 0] if name == "sift" else [0, 1, 2]
        assert self.choose(name, kind, np.tile([[0.6, 0.8]], (5, 1)), [1.0, 0.0], 3) == expected

    def test_one_of_everything(self, name: str, kind: Any) -> None:
        assert self.choose(name, kind, [[2.0]], [-1.0], 1) == [0]

    def test_one_dimension(self, name: str, kind: Any) -> None:
        assert sorted(set(self.choose(name, kind, [[1.0], [2.0], [-3.0]], [1.0], 3))) in ([0, 1, 2], [2])

    def test_all_of_the_candidates(self, name: str, kind: Any) -> None:
        candidates, query = small()
        picks = self.choose(name, kind, candidates, query, 20)
        assert name == "sift" or sorted(picks) == list(range(20))

    def test_more_than_all_of_the_candidates(self, name: str, kind: Any) -> None:
        candidates, query = small()
        if name == "sift":
            assert len(self.choose(name, kind, candidates, query, 21)) == 21
        else:
            with pytest.raises(InputError, match="n=21"):
                self.choose(name, kind, candidates, query, 21)

    @pytest.mark.parametrize("scale", [1e-15, 1e15])
    def test_the_length_of_the_query_does_not_matter(self, name: str, kind: Any, scale: float) -> None:
        candidates, query = small(np.float32)
        ordinary = self.choose(name, kind, candidates, query, 6)
        assert self.choose(name, kind, candidates, query * np.float32(scale), 6) == ordinary


@pytest.mark.parametrize(("length", "scale"), [(1, 1e-22), (1000, 1e17)])
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_query_is_read_rightly_or_refused(length: float, scale: float) -> None:
    candidates, query = small(np.float32)
    candidates *= np.float32(length)
    ordinary = Sift(1e3).choose(candidates, query, 6).indices.tolist()
    try:
        picks = Sift(1e3).choose(candidates, query * np.float32(scale), 6).indices.tolist()
    except InputError:
        return
    assert picks == ordinary


@pytest.mark.filterwarnings("error")
def test_numbers_of_picks_may_be_small_integers() -> None:
    candidates, query = problem("cap", 300, 12, 1, 0)
    few = SELECTORS["itl"]().choose(candidates, query, np.uint8(100))
    assert same_choice(few, SELECTORS["itl"]().choose(candidates, query, 100))
    assert (
        len(SELECTORS["vtl"]().choose(candidates[:40], query, 60, constraints=Constraints(repeats=np.int8(20))).indices)
        == 60
    )
