"""From candidates to attempts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whet.tasks.arc import as_grid, load_set
from whet.tasks.arc.solve import distinct, solve


def test_each_different_grid_comes_once_in_order() -> None:
    one, two, wide = as_grid([[1]]), as_grid([[2]]), as_grid([[1, 1]])
    assert distinct([two, one, two, wide, one]) == [two, one, wide]


def test_a_task_is_answered_by_a_program_that_explains_it(folder: Path) -> None:
    result = solve(load_set(folder)["flip"], seconds=20)
    assert result.attempts[0][0].tolist() == [[9, 8]]
    assert result.info["candidates"][0]["outputs"][0] == [[9, 8]]
    assert result.info["candidates"][0]["program"]
    json.dumps(dict(result.info))  # it can be stored


def test_without_time_nothing_is_tried(folder: Path) -> None:
    result = solve(load_set(folder)["grow"], seconds=0)
    assert result.info["candidates"] == []
    assert [first.tolist() for first, _ in result.attempts] == [[[0, 0], [0, 0]]] * 2


@pytest.mark.parametrize("blank", [True, False])
def test_what_the_answers_are_makes_no_difference(folder: Path, blank: bool) -> None:
    path = folder / "flip.json"
    content = json.loads(path.read_text())
    if blank:
        del content["test"][0]["output"]
    else:
        content["test"][0]["output"] = [[0, 0, 0]]
    before = solve(load_set(folder)["flip"], seconds=20).attempts
    path.write_text(json.dumps(content))
    after = solve(load_set(folder)["flip"], seconds=20).attempts
    assert [[g.tolist() for g in pair] for pair in before] == [[g.tolist() for g in pair] for pair in after]
