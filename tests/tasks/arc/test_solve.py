"""From candidates to attempts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from whet.tasks.arc import as_grid, load_set
from whet.tasks.arc import solve as solving
from whet.tasks.arc.solve import likeliest, solve
from whet.tasks.arc.ways import AGAINST, WAYS, Candidate, Findings, Settings

ONE, TWO, SIX = as_grid([[1]]), as_grid([[2]]), as_grid([[6]])
ALONE = Settings(ways=("induction",))


def told(grid: object, confidence: float, found: str = "x") -> Candidate:
    return Candidate((as_grid(grid),), (confidence,), found)


def test_ways_that_agree_make_an_answer_likelier() -> None:
    found = {"a": [told([[1]], 0.5), told([[2]], 0.4)], "b": [told([[2]], 0.4)]}
    (first, p), (second, q) = likeliest(found, 0)
    # odds 1 for the first; 1 - 0.6², so 0.64 / 0.36 for the second
    assert (first, second) == (TWO, ONE)
    assert p == pytest.approx(0.64 / 0.36 / (1 + 1 + 0.64 / 0.36))
    assert q == pytest.approx(1 / (1 + 1 + 0.64 / 0.36))


def test_candidates_of_one_way_that_agree_count_once() -> None:
    assert likeliest({"a": [told([[1]], 0.5), told([[1]], 0.4)]}, 0) == [(ONE, pytest.approx(0.5))]


@pytest.fixture
def two_ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A first way that gets surer and surer of 1, and a second that says 6; which were asked for more."""
    asked: list[str] = []

    def first(*_: object) -> Iterator[Findings]:
        for p in (0.5, 0.9, 0.99, 0.999):
            asked.append(f"first {p}")
            yield Findings([told([[1]], p)])

    def second(*_: object) -> Iterator[Findings]:
        asked.append("second")
        yield Findings([told([[6]], 0.3)])

    monkeypatch.setitem(WAYS, "first", first)
    monkeypatch.setitem(WAYS, "second", second)
    return asked


def test_no_more_is_asked_when_too_little_is_expected_of_it(
    folder: Path, two_ways: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # a first stage, which is taken to last for all of the time, mends a tenth of what is wrong; further ones are free
    monkeypatch.setattr(solving, "gain", lambda *_: 0.1)
    monkeypatch.setattr(solving, "_LONGER", 0.0)
    monkeypatch.setattr(solving, "_FIRST", 10.0)
    monkeypatch.setattr(solving, "PATIENCE", 0.005)
    result = solve(load_set(folder)["flip"], 10, Settings(ways=("first", "second")))
    assert two_ways == ["first 0.5", "first 0.9", "first 0.99", "first 0.999"]  # 0.001 are left to mend for the second
    assert result.attempts[0][0] == ONE
    assert list(result.info["spent"]) == ["first"]


def test_a_way_that_would_not_help_is_left_out_and_says_why(
    folder: Path, two_ways: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AGAINST, "first", lambda task, _: "too hard" if task.id == "flip" else "")
    tasks = load_set(folder)
    result = solve(tasks["flip"], 10, Settings(ways=("first", "second")))
    assert two_ways == ["second"]
    assert result.info["notes"] == {"first": "too hard"}
    two_ways.clear()
    alone = solve(tasks["flip"], 10, Settings(ways=("first",)))  # asked for by itself, it is tried
    assert two_ways[0] == "first 0.5"
    assert alone.attempts[0][0] == ONE


def test_what_all_ways_found_is_put_together(
    folder: Path, two_ways: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solving, "PATIENCE", 0.0)
    result = solve(load_set(folder)["flip"], 10, Settings(ways=("second", "first")))
    assert two_ways == ["second", "first 0.5", "first 0.9", "first 0.99", "first 0.999"]
    assert [one.tolist() for one in result.attempts[0]] == [[[1]], [[6]]]
    assert [one["found"] for one in result.info["candidates"]] == ["x", "x"]
    assert [one["confidence"] for one in result.info["candidates"]] == [[0.999], [0.3]]


def test_a_task_is_answered_by_a_program_that_explains_it(folder: Path) -> None:
    result = solve(load_set(folder)["flip"], 20, ALONE)
    assert result.attempts[0][0].tolist() == [[9, 8]]
    assert result.info["candidates"][0]["outputs"][0] == [[9, 8]]
    assert result.info["candidates"][0]["program"]
    json.dumps(dict(result.info))  # it can be stored


def test_without_time_nothing_is_tried(folder: Path) -> None:
    result = solve(load_set(folder)["grow"], 0)
    assert result.info["candidates"] == []
    assert result.info["problem"] == "0 seconds are too short to try anything"
    assert [first.tolist() for first, _ in result.attempts] == [[[0, 0], [0, 0]]] * 2


@pytest.mark.parametrize("blank", [True, False])
def test_what_the_answers_are_makes_no_difference(folder: Path, blank: bool) -> None:
    path = folder / "flip.json"
    content = json.loads(path.read_text())
    if blank:
        del content["test"][0]["output"]
    else:
        content["test"][0]["output"] = [[0, 0, 0]]
    before = solve(load_set(folder)["flip"], 20, ALONE).attempts
    path.write_text(json.dumps(content))
    after = solve(load_set(folder)["flip"], 20, ALONE).attempts
    assert [[g.tolist() for g in pair] for pair in before] == [[g.tolist() for g in pair] for pair in after]
