"""What a program does on a task, against what its outcome must be by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.programs.sandbox import Capabilities, Limits, Sandbox
from whet.programs.synthesis.trial import as_output, try_out

pytestmark = pytest.mark.skipif(not Capabilities.detect().seccomp, reason="this machine has no seccomp filters")
INPUTS = [np.array(rows, np.uint8) for rows in ([[1, 2, 3], [4, 5, 6]], [[7, 8], [0, 1]], [[9, 0]])]
TRAIN = [(grid, grid.T.copy()) for grid in INPUTS]
TESTS = [np.array([[5, 6, 7]], np.uint8), np.array([[1], [2]], np.uint8)]
RIGHT = "def transform(grid):\n    return [list(row) for row in zip(*grid)]"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(cpu_seconds=0.4, wall_seconds=20, memory_bytes=64 * 2**20, result_bytes=2**16)) as made:
        yield made


def test_a_right_program_fits_and_predicts(sandbox: Sandbox) -> None:
    trial = try_out(RIGHT, TRAIN, TESTS, sandbox)
    assert (trial.fits, trial.right, trial.cells, trial.problem) == (True, 3, 1.0, "")
    assert [grid.tolist() for grid in trial.predictions] == [[[5], [6], [7]], [[1, 2]]]


def test_the_pairs_and_the_cells_that_are_right_are_counted(sandbox: Sandbox) -> None:
    source = "def transform(grid):\n    return [[7, 0], [8, 0]] if grid[0] == [7, 8] else list(zip(*grid))"
    trial = try_out(source, TRAIN, TESTS, sandbox)
    assert trial.right == 2
    assert trial.cells == pytest.approx((1 + 3 / 4 + 1) / 3)
    assert trial.problem == "On pair 2 Expected, 2 rows of 2:\n70\n81\nGot, 2 rows of 2:\n70\n80"
    assert trial.predictions == ()


def test_an_output_of_another_shape_has_no_cell_right(sandbox: Sandbox) -> None:
    trial = try_out("def transform(grid): return grid", TRAIN, TESTS, sandbox)
    assert (trial.right, trial.cells) == (0, pytest.approx((0 + 2 / 4 + 0) / 3))


def test_an_exception_is_told_with_its_line(sandbox: Sandbox) -> None:
    source = "def transform(grid):\n    if len(grid) == 1:\n        return grid[3]\n    return list(zip(*grid))"
    trial = try_out(source, TRAIN, TESTS, sandbox)
    assert trial.right == 2
    assert (
        trial.problem
        == "On pair 3 it failed, exception: IndexError: list index out of range (line 3: `return grid[3]`)."
    )


def test_a_failure_on_a_test_is_told_but_no_output_of_it(sandbox: Sandbox) -> None:
    source = RIGHT + " if grid != [[1], [2]] else 1 / 0"
    trial = try_out(source, TRAIN, TESTS, sandbox)
    assert (trial.fits, trial.right, trial.predictions) == (False, 3, ())
    assert trial.problem.startswith(
        "It gives every output above, but on test 2 it failed, exception: ZeroDivisionError"
    )


def test_a_program_that_runs_out_of_time_runs_no_more(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    run = sandbox.run
    monkeypatch.setattr(sandbox, "run", lambda *call: calls.append(call) or run(*call))
    trial = try_out("def transform(grid):\n    while True: pass", TRAIN, TESTS, sandbox)
    assert trial.problem.startswith("On pair 1 it failed, time: ")
    assert len(calls) == 1


def test_the_tests_are_shown_only_to_a_program_that_fits(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    run = sandbox.run
    monkeypatch.setattr(sandbox, "run", lambda *call: shown.append(call[2][0]) or run(*call))
    try_out("def transform(grid): return grid", TRAIN, TESTS, sandbox)
    assert shown == [grid.tolist() for grid in INPUTS]


HOSTILE = {
    "a file": ("return open('/etc/passwd').read()", "forbidden"),
    "another file": ("open('stolen', 'w').write('x'); return grid", "forbidden"),
    "a process": ("import os; os.fork(); return grid", "forbidden"),
    "a socket": ("import socket; socket.socket(); return grid", "forbidden"),
    "a signal": ("import os; os.kill(os.getppid(), 9); return grid", "forbidden"),
    "its end": ("import os; os._exit(0)", "without an answer"),
    "an exit": ("raise SystemExit", "exception"),
    "memory": ("return [0] * 10**10", "memory"),
    "deep recursion": ("return transform(grid)", "RecursionError"),
    "endless output": ("while True: print('x' * 1000)", "output"),
    "a huge value": ("return [[1] * 1000] * 1000", "bad result"),
    "a deep value": ("x = []\n    for i in range(200): x = [x]\n    return x", "nested"),
    "no number": ("return [[float('nan')]]", "bad result"),
    "a hostile exception": (
        "class E(Exception):\n        def __str__(self): return '\\x1b[2J' + 1 / 0 * ''\n    raise E",
        "exception: E",
    ),
    "a forged answer": (
        "import os\n    for i in range(3, 9):\n        try: os.write(i, b'{\"value\": [[[')\n"
        "        except OSError: pass\n    os._exit(0)",
        "failed",
    ),
    "hostile nesting": ("return " + "(" * 5000 + ")" * 5000, "syntax"),
    "a null": ("return '\0'", "syntax"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_only_fail(sandbox: Sandbox, name: str) -> None:
    body, reason = HOSTILE[name]
    trial = try_out(f"def transform(grid):\n    {body}", TRAIN, TESTS, sandbox)
    assert (trial.right, trial.cells, trial.predictions) == (0, 0.0, ())
    assert reason in trial.problem
    assert all(c.isprintable() or c == "\n" for c in trial.problem)
    assert try_out(RIGHT, TRAIN, TESTS, sandbox).fits


@given(rows=st.integers(1, 30), columns=st.integers(1, 30), seed=st.integers(0, 2**32 - 1), floats=st.booleans())
def test_every_grid_is_an_output(rows: int, columns: int, seed: int, floats: bool) -> None:
    grid = np.random.default_rng(seed).integers(0, 10, (rows, columns))
    output = as_output((grid.astype(float) if floats else grid).tolist())
    assert not isinstance(output, str)
    assert output.dtype == np.uint8
    assert output.tolist() == grid.tolist()


@pytest.mark.parametrize(
    "value",
    [
        None, 3, "12", {}, [], [[]], [1, 2], [[1], 2], [[1], [2, 3]], [[10]], [[-1]], [[0.5]], [[True]], [["1"]],
        [[[1]]], [[1] * 31], [[1]] * 31, [[10**900]], [[1, None]],
    ],
)  # fmt: skip
def test_what_is_no_grid_is_told(value: Any) -> None:
    words = as_output(value)
    assert isinstance(words, str)
    assert words.startswith("it returned ")
    assert len(words) < 120


def test_comments_and_blank_space_add_no_length(sandbox: Sandbox) -> None:
    commented = RIGHT.replace(":\n", ":  # rows become columns\n\n    # all of them\n")
    assert try_out(commented, TRAIN, TESTS, sandbox).length == try_out(RIGHT, TRAIN, TESTS, sandbox).length
