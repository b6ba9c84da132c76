"""What a model is asked, and the program that is taken out of what it answers."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.programs.synthesis.prompt import (
    LONGEST,
    difference,
    first_prompt,
    program_of,
    refinement_prompt,
    task_text,
)

PROGRAM = "import numpy as np\n\n\ndef transform(grid):\n    return np.array(grid).T.tolist()"
HELPER = "def helper(grid):\n    return grid"
GRIDS = st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1)).map(
    lambda shape: np.random.default_rng(shape[2]).integers(0, 10, shape[:2]).astype(np.uint8)
)


def grids_in(text: str) -> list[list[list[int]]]:
    """Every grid of a text, by its lines of digits."""
    blocks = re.findall(r"(?:^[0-9]+\n)+", text + "\n", re.MULTILINE)
    return [[[int(digit) for digit in line] for line in block.split()] for block in blocks]


@given(pairs=st.lists(st.tuples(GRIDS, GRIDS), min_size=1, max_size=3), tests=st.lists(GRIDS, min_size=1, max_size=2))
def test_every_grid_can_be_read_back_from_the_text(pairs: list, tests: list) -> None:
    text = task_text(pairs, tests)
    assert grids_in(text) == [grid.tolist() for pair in pairs for grid in pair] + [grid.tolist() for grid in tests]


def test_a_difference_shows_both_grids() -> None:
    expected, got = np.array([[1, 2]], np.uint8), np.array([[1], [2]], np.uint8)
    assert grids_in(difference(expected, got)) == [[[1, 2]], [[1], [2]]]


def test_prompts_say_what_can_be_imported_and_which_function_is_called() -> None:
    modules = ["numpy.linalg", "numpy", "math"]
    for prompt in (first_prompt("TASK", modules), refinement_prompt("TASK", modules, "SOURCE", "PROBLEM")):
        assert "can import math, numpy, and nothing else" in prompt
        assert "`transform(grid)`" in prompt
        assert prompt.startswith("TASK")
    assert "```python\nSOURCE\n```\n\nPROBLEM" in refinement_prompt("TASK", modules, "SOURCE", "PROBLEM")


@pytest.mark.parametrize(
    "answer",
    [
        PROGRAM,
        f"```python\n{PROGRAM}\n```",
        f"```\n{PROGRAM}\n```",
        f"~~~py\n{PROGRAM}\n~~~",
        f"The grid is turned.\n\n```python\n{PROGRAM}\n```\n\nThis works because rows become columns.",
        f"```python\n{PROGRAM}",
        f"```python\n{HELPER}\n```\nNow all of it:\n```python\n{PROGRAM}\n```\n```text\n12\n34\n```",
        f"```python\ndef transform(grid):\n    return grid\n```\nWait, no:\n```python\n{PROGRAM}\n```",
        f"<think>\n```python\ndef transform(grid): pass\n```\n</think>\n```python\n{PROGRAM}\n```",
        f"```python\n{PROGRAM}\n```".replace("\n", "\r\n"),
        "1. Do this:\n" + "\n".join("   " + line for line in f"```python\n{PROGRAM}\n```".split("\n")),
        f"Here it is.\n\n{PROGRAM}\n\nThis works because rows become columns.",
        f"Here it is.\n{PROGRAM}\n",
    ],
)
def test_the_program_is_found(answer: str) -> None:
    found = program_of(answer)
    assert found is not None
    assert [line.rstrip() for line in found.split("\n")] == PROGRAM.split("\n")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I cannot find the rule.",
        "```python\n```",
        f"```python\n{HELPER}\n```",
        "The function transform(grid) turns the grid.",
        "```text\nthen def transform is called\n```",
        "def transform(grid):\n    return grid\n" + "# x\n" * LONGEST,
        "```" * 1000,
        "`" * 100_000 + " " * 100_000 + "\n" * 100_000,
    ],
)
def test_no_program_is_none(answer: str) -> None:
    assert program_of(answer) is None


def test_a_program_can_always_be_encoded() -> None:
    found = program_of("```python\ndef transform(grid):\n    return '\ud800'\n```")
    assert found is not None
    assert found.encode().endswith(b"return '?'")


@given(st.text())
def test_whatever_is_answered_it_is_a_program_or_none(answer: str) -> None:
    found = program_of(answer)
    assert found is None or "def transform" in found
