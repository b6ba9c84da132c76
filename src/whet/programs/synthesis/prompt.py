"""What a model is asked, and the program in what it answers.

Answers are read as text only: parsing a hostile source can end the process that parses it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from whet.programs.images import Grid

FUNCTION = "transform"
LONGEST = 20_000
"""Characters of a program; a longer one is not looked at."""

_FENCES = ("```", "~~~")
_DEFINES = re.compile(rf"^def {FUNCTION}\b", re.MULTILINE)
_BEGINS = re.compile(r"import \w|from \w\S* import |def \w|class \w|@\w")
_GOES_ON = re.compile(r"$|\s|[#@)\]}]|(?:import|from|def|class|if|elif|else|for|while|try|except)\b|[\w.]+\s*[=(\[]")


def task_text(train: Sequence[tuple[Grid, Grid]], tests: Sequence[Grid]) -> str:
    """The grids of a task, each row a line of digits."""
    pairs = [
        f"Pair {number}\nInput, {_grid_text(given)}\nOutput, {_grid_text(output)}\n"
        for number, (given, output) in enumerate(train, 1)
    ]
    inputs = [f"Test {number}\nInput, {_grid_text(given)}\n" for number, given in enumerate(tests, 1)]
    return "\n".join(
        ["One rule turns each of these inputs into its output. Every digit is the colour of a cell.\n", *pairs, *inputs]
    )


def first_prompt(task: str, modules: Iterable[str]) -> str:
    """Asks for a program.

    Args:
        task: of `task_text`.
        modules: what programs can import.
    """
    return f"{task}\nFind the rule and write it as a program.\n{_contract(modules)}"


def refinement_prompt(task: str, modules: Iterable[str], source: str, problem: str) -> str:
    """Asks to mend a program.

    Args:
        task: of `task_text`.
        modules: what programs can import.
        source: the program.
        problem: what is wrong with it.
    """
    return (
        f"{task}\nThis program does not follow the rule:\n\n```python\n{source}\n```\n\n{problem}\n\n"
        f"Find out why, and write a program that is right.\n{_contract(modules)}"
    )


def difference(expected: Grid, got: Grid) -> str:
    """How an output differs from the expected one."""
    return f"Expected, {_grid_text(expected)}\nGot, {_grid_text(got)}"


def program_of(answer: str) -> str | None:
    """The program in an answer, or None if there is none.

    It is the last block of code that defines the function, closed or not. An answer without blocks may be a program
    with words around it.
    """
    text = answer.encode(errors="replace").decode()  # half a surrogate pair cannot be passed on
    fenced = [block for block in _blocks(text) if _DEFINES.search(block)]
    program = (fenced[-1] if fenced else _bare(text)).strip("\n")
    return program if _DEFINES.search(program) and len(program) <= LONGEST else None


def _contract(modules: Iterable[str]) -> str:
    names = ", ".join(sorted({name.partition(".")[0] for name in modules}))
    return (
        f"Define a Python function `{FUNCTION}(grid)`. `grid` is a list of rows, each a list of integers from 0 to 9. "
        "Return the output in the same form. It must give every output above exactly, and apply the rule to the test "
        f"inputs too. It can import {names}, and nothing else; it has no files and no network. "
        "Answer with one block of Python code.\n"
    )


def _grid_text(grid: Grid) -> str:
    rows = "\n".join("".join(map(str, row)) for row in grid.tolist())
    return f"{grid.shape[0]} rows of {grid.shape[1]}:\n{rows}"


def _blocks(text: str) -> Iterator[str]:
    """What stands between fences; the last block may be open."""
    block: list[str] | None = None
    for line in text.split("\n"):
        if not line.lstrip().startswith(_FENCES):
            if block is not None:
                block.append(line)
        elif block is None:
            block = []
        else:
            yield _joined(block)
            block = None
    if block is not None:
        yield _joined(block)


def _joined(lines: Sequence[str]) -> str:
    """The text of a block, which may stand in a list and so be indented."""
    return textwrap.dedent("\n".join(lines))


def _bare(text: str) -> str:
    """The lines that look like code, from the first import, function or class on."""
    lines = text.split("\n")
    begin = next((number for number, line in enumerate(lines) if _BEGINS.match(line)), len(lines))
    end = next((i for i in range(begin, len(lines)) if not _GOES_ON.match(lines[i])), len(lines))
    return "\n".join(lines[begin:end])
