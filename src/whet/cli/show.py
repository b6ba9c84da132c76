"""An answer as a person reads it, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from whet.cli.text import first_words, printable, source
from whet.types import Answer, Cost, GuardReport, Plan

_SOURCE_WIDTH = 24
_TEXT_WIDTH = 50
_GAP = 2
_NUMBERS = {"#": 3, "variance": 8, "cosine": 6}
"""Columns of numbers and the characters that they need."""


def answer_json(answer: Answer) -> str:
    """All fields of an answer, as JSON; each example has its id besides."""
    record = asdict(answer)
    for pick, shown in zip(answer.picks, record["picks"], strict=True):
        shown["example"] = {"id": pick.example.id, **shown["example"]}
    return json.dumps(record, indent=2)


def print_answer(answer: Answer) -> None:
    """Print the text to stdout, and below it how it came about."""
    console = Console(highlight=False)
    console.print(Text(printable(answer.text, keep="\n\t")), soft_wrap=True)
    console.print()
    if answer.picks:
        console.print(picks_table(answer, console.width))
        console.print()
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold")
    lines.add_column(overflow="fold")
    for label, text in [
        ("plan", _plan(answer.plan)),
        ("guard", _guard(answer.guard)),
        ("cost", _cost(answer.cost)),
        *(("note", note) for note in answer.notes),
    ]:
        lines.add_row(label, Text(printable(text)))
    console.print(lines)


def picks_table(answer: Answer, width: int) -> Table:
    """The picks in order: variance after each, cosine with the query, where it is from, how it begins."""
    places = [source(pick.example, _SOURCE_WIDTH) for pick in answer.picks]
    # What the narrow columns leave: rich would squeeze them all to nothing for the sake of the last.
    left = width - sum(_NUMBERS.values()) - max(map(cell_len, [*places, "source"])) - 5 * _GAP
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for heading in _NUMBERS:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("source", no_wrap=True)
    table.add_column("text", no_wrap=True)
    for number, (pick, place) in enumerate(zip(answer.picks, places, strict=True), start=1):
        text = Text(first_words(pick.example.text, _TEXT_WIDTH))
        text.truncate(max(1, left), overflow="ellipsis")
        table.add_row(str(number), f"{pick.variance:.4f}", f"{pick.similarity:.3f}", Text(place), text)
    return table


def _plan(plan: Plan) -> str:
    return f"{plan.rung}, {plan.picks} picks, {plan.steps} steps: {plan.reason}"


def _guard(guard: GuardReport) -> str:
    return f"{guard.status.replace('_', ' ')}: {guard.reason}"


def _cost(cost: Cost) -> str:
    seconds = ", ".join(f"{phase} {spent:.2f}" for phase, spent in cost.seconds.items())
    tokens = ", ".join(f"{use} {number:,}" for use, number in cost.tokens.items())
    return f"{sum(cost.seconds.values()):.2f} s ({seconds}); tokens: {tokens}; {cost.flops:.2g} FLOPs"
