"""Many tasks in processes: resumed, and safe from a task that takes its process down."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from arc_fakes import faked

from whet.errors import InputError
from whet.scaling import arc
from whet.tasks.arc import ArcTask, Pair, TaskResult, append_result, as_grid, attempts, read_results
from whet.tasks.arc.ways import Settings

ONE = as_grid([[1]])
WAYS = Settings(ways=("induction",))


def task(name: str) -> ArcTask:
    return ArcTask(name, (Pair(ONE, ONE),), (ONE,))


@pytest.fixture
def fake_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whet.tasks.arc.solve.solve", faked)
    monkeypatch.setattr(arc, "_GRACE", 0.0)


@pytest.mark.usefixtures("fake_solver")
def test_a_task_that_dies_hangs_or_raises_costs_only_itself(tmp_path: Path) -> None:
    tasks, seen = [task(name) for name in ("one", "dies", "hangs", "raises", "two")], []
    found = arc.solve_all(
        tasks,
        tmp_path / "results.jsonl",
        seconds=1,
        processes=2,
        settings=WAYS,
        progress=lambda _, done: seen.append(done),
    )
    assert found.keys() == {"one", "dies", "hangs", "raises", "two"}
    assert {name: result.info.get("problem") for name, result in found.items()} == {
        "one": None,
        "two": None,
        "dies": "its process ended with the code 9; it may have run out of memory",
        "hangs": "no answer 0 seconds after its time was over",
        "raises": "ValueError: no",
    }
    assert found["dies"].attempts[0][0].tolist() == [[0, 0], [0, 0]]
    assert seen == [0, 1, 2, 3, 4, 5]
    assert read_results(tmp_path / "results.jsonl").keys() == found.keys()


@pytest.mark.usefixtures("fake_solver")
def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append_result(path, TaskResult("one", (attempts(as_grid([[7]])),), {"candidates": []}))
    found = arc.solve_all([task("one"), task("two")], path, seconds=1, processes=1, settings=WAYS)
    assert found["one"].attempts[0][0].tolist() == [[7]]
    assert found["two"].attempts[0][0].tolist() == [[1]]


@pytest.mark.parametrize("given", [{"seconds": -1.0}, {"seconds": float("nan")}, {"processes": 0}])
def test_times_and_processes_that_make_no_sense_are_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(given))):
        arc.solve_all(
            [task("one")], tmp_path / "results.jsonl", **{"seconds": 1.0, "processes": 1, "settings": WAYS} | given
        )


def test_processes_are_started_anew_and_solve(tmp_path: Path) -> None:
    found = arc.solve_all([task("one")], tmp_path / "results.jsonl", seconds=0, processes=1, settings=WAYS)
    assert found["one"].info["candidates"] == []
    assert "seconds" in found["one"].info


def test_what_a_process_gave_is_passed_on() -> None:
    future: Future[TaskResult] = Future()
    future.set_result(TaskResult("one", (attempts(ONE),)))
    assert arc._result(future, task("one")).id == "one"


def test_results_that_were_found_in_another_way_are_not_taken_for_those_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append_result(path, TaskResult("one", (attempts(ONE),), {"asked": "synthesis; 9 seconds", "candidates": []}))
    with pytest.raises(InputError, match="'one' by synthesis; 9 seconds, and now induction; 1 seconds are asked for"):
        arc.solve_all([task("one")], path, seconds=1, processes=1, settings=WAYS)
    found = arc.solve_all([], path, seconds=1, processes=1, settings=WAYS)
    assert found == {}
