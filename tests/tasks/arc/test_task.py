from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from whet.errors import InputError, RecordError
from whet.tasks.arc import ArcTask, Pair, as_grid
from whet.tasks.arc.task import parse_task


def test_a_task_is_read_and_written_without_its_test_outputs(raw: dict[str, Any]) -> None:
    task = parse_task("flip", raw["flip"], "flip.json")
    assert [pair.output.tolist() for pair in task.train] == [[[3, 2, 1]], [[5, 4], [7, 6]]]
    assert [grid.tolist() for grid in task.test] == [[[8, 9]]]
    assert "9, 8" not in json.dumps(task.as_json())
    assert parse_task("flip", task.as_json(), "flip.json") == task


def test_whatever_stands_for_the_test_output_the_task_is_the_same(raw: dict[str, Any]) -> None:
    task = parse_task("flip", raw["flip"], "flip.json")
    for output in ([], "secret", None, [[99]]):
        raw["flip"]["test"][0]["output"] = output
        assert parse_task("flip", raw["flip"], "flip.json") == task
    del raw["flip"]["test"][0]["output"]
    assert parse_task("flip", raw["flip"], "flip.json") == task


def test_tasks_are_equal_by_content(raw: dict[str, Any]) -> None:
    task = parse_task("flip", raw["flip"], "x")
    assert len({task, parse_task("flip", raw["flip"], "y"), parse_task("other", raw["flip"], "x")}) == 2
    assert task != "flip"
    one, two = (as_grid([[0] * 4]), as_grid([[0, 0], [0, 0]]))
    assert Pair(one, two) != Pair(two, one)


def test_pairs_and_tasks_are_checked_when_they_are_made() -> None:
    grid = as_grid([[1]])
    with pytest.raises(InputError, match=r"output\[0\]\[0\] is 10"):
        Pair(grid, np.array([[10]]))
    with pytest.raises(InputError, match="no training pair"):
        ArcTask("x", (), (grid,))
    with pytest.raises(InputError, match="no test input"):
        ArcTask("x", (Pair(grid, grid),), ())


GRID = [[1]]
PAIR = {"input": GRID, "output": GRID}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no ARC task"),
        ([], "no ARC task"),
        ({}, "no list 'train'"),
        ({"train": {}, "test": []}, "no list 'train'"),
        ({"train": [PAIR]}, "no list 'test'"),
        ({"train": [], "test": [PAIR]}, "no training pair"),
        ({"train": [PAIR], "test": []}, "no test input"),
        ({"train": [PAIR, {"input": GRID}], "test": [PAIR]}, r"train\[1\] has no 'output'"),
        ({"train": [{"output": GRID}], "test": [PAIR]}, r"train\[0\] has no 'input'"),
        ({"train": [3], "test": [PAIR]}, r"train\[0\] has no 'input'"),
        ({"train": [PAIR], "test": [PAIR, {}]}, r"test\[1\] has no 'input'"),
        (
            {"train": [PAIR, {"input": GRID, "output": [[1, 2], [3, 11]]}], "test": [PAIR]},
            r"train\[1\].output\[1\]\[1\]",
        ),
        ({"train": [PAIR], "test": [{"input": [[1], [1, 2]]}]}, r"test\[0\].input is ragged"),
    ],
)
def test_a_message_names_the_file_the_pair_and_the_cell(content: object, message: str) -> None:
    with pytest.raises(RecordError, match=r"^some/file\.json: .*" + message):
        parse_task("x", content, "some/file.json")
