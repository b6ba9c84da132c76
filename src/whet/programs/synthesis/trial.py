"""Trying a program on a task: how many pairs it reproduces, and what to tell its author."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whet.programs.images import LARGEST, Grid
from whet.programs.sandbox import Failure, Kind, Sandbox
from whet.programs.synthesis.prompt import FUNCTION, difference

_COLOURS = frozenset(range(10))
_COMMENT = re.compile(r"#.*")
_SYMBOL = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Trial:
    """A program and what came of it.

    Attributes:
        source: the program.
        right: training pairs that it reproduces.
        cells: share of the cells of the training outputs that it gets right, the mean over pairs; none of an output of
            another shape.
        predictions: its outputs for the tests, if it reproduces every pair and gives a grid for every test.
        problem: what is wrong with it, for its author; empty if `predictions` are there.
        behaviour: what it gave for every input, to tell programs that do the same.
    """

    source: str
    right: int
    cells: float
    predictions: tuple[Grid, ...]
    problem: str
    behaviour: Hashable

    @property
    def fits(self) -> bool:
        """Whether it reproduces every training pair and gives a grid for every test."""
        return not self.problem

    @property
    def length(self) -> int:
        """Words and signs of the source, without comments."""
        return len(_SYMBOL.findall(_COMMENT.sub("", self.source)))


def try_out(source: str, train: Sequence[tuple[Grid, Grid]], tests: Sequence[Grid], sandbox: Sandbox) -> Trial:
    """Run a program on every training input, and on the tests only if it reproduces every pair.

    After it has run out of time once, it is not run again.

    Raises:
        SandboxError: as `Sandbox.run`.
    """
    expected = [output for _, output in train]
    got = _run(source, [given for given, _ in train], sandbox)
    shares = [_share(output, result) for output, result in zip(expected, got, strict=False)]
    right, cells = shares.count(1.0), sum(shares) / len(train)
    for number, (output, result) in enumerate(zip(expected, got, strict=False), 1):
        if shares[number - 1] < 1:
            problem = f"On pair {number} {result if isinstance(result, str) else difference(output, result)}"
            return Trial(source, right, cells, (), problem, _behaviour(got))
    predictions = _run(source, tests, sandbox)
    for number, result in enumerate(predictions, 1):
        if isinstance(result, str):
            problem = f"It gives every output above, but on test {number} {result}"
            return Trial(source, right, cells, (), problem, _behaviour([*got, *predictions]))
    grids = tuple(result for result in predictions if not isinstance(result, str))
    return Trial(source, right, cells, grids, "", _behaviour([*got, *grids]))


def _run(source: str, inputs: Sequence[Grid], sandbox: Sandbox) -> list[Grid | str]:
    """For each input the output, or what went wrong; none after the first that took too long."""
    results: list[Grid | str] = []
    for grid in inputs:
        outcome = sandbox.run(source, FUNCTION, [grid.tolist()])
        results.append(_failure_text(outcome.failure, source) if outcome.failure else as_output(outcome.value))
        if outcome.failure and outcome.failure.kind is Kind.TIME:
            break
    return results


def as_output(value: Any) -> Grid | str:
    """A grid from a program's value, or why it is none. Whole numbers may be floats, as numpy makes them."""
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        return f"it returned {_short(value)}, not a list of rows."
    if not (1 <= len(value) <= LARGEST and 1 <= len(value[0]) <= LARGEST):
        return f"it returned {len(value)} rows of {len(value[0]) if value else 0} cells; each must be 1 to {LARGEST}."
    if any(len(row) != len(value[0]) for row in value):
        return "it returned rows of different lengths."
    for row in value:
        for cell in row:
            if type(cell) not in (int, float) or cell not in _COLOURS:
                return f"it returned a cell that is {_short(cell)}, not an integer from 0 to 9."
    return np.array(value, np.uint8)


def _failure_text(failure: Failure, source: str) -> str:
    lines = source.split("\n")
    where = ""
    if failure.line is not None and 1 <= failure.line <= len(lines):
        where = f" (line {failure.line}: `{lines[failure.line - 1].strip()[:200]}`)"
    return f"it failed, {failure.kind}: {failure.message}{where}."


def _share(expected: Grid, result: Grid | str) -> float:
    """Share of cells that are right."""
    if isinstance(result, str) or result.shape != expected.shape:
        return 0.0
    return float(np.mean(result == expected))


def _behaviour(results: Sequence[Grid | str]) -> Hashable:
    return tuple(result if isinstance(result, str) else (result.shape, result.tobytes()) for result in results)


def _short(value: object) -> str:
    """The beginning of a value, however large it is."""
    if isinstance(value, list | dict):
        return f"a {type(value).__name__}"
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a huge number"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
