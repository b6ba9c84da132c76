"""A selection as a person reads it, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from whet.cli.text import first_words, printable, source
from whet.evaluation.selection import Selection
from whet.selection import PassedOver, Picked
from whet.types import Example

_SOURCE_WIDTH = 20
_TEXT_WIDTH = 80
_GAP = 2

_PICKS_LEGEND = (
    "gain and left are shares of the query's variance; taken: of what a pick tells alone, the share that earlier picks "
    "had told (<0: they made it tell more); like: the one of them most like it (=: the same)."
)
_PASSED_LEGEND = "near: place among the nearest neighbours; gain: what it would still tell after all picks."


def selection_json(selection: Selection) -> str:
    """Everything about a selection, as JSON; `row` counts the candidates, the nearest first, from 0."""
    ids = selection.candidates.ids

    def record(part: Picked | PassedOver) -> dict[str, object]:
        example = selection.examples[part.row]
        like = None if part.like is None else {"id": ids[part.like.row], **asdict(part.like)}
        return {"example": {"id": example.id, **asdict(example)}, **asdict(part), "like": like}

    return json.dumps(
        {
            "query": selection.query,
            "selector": selection.selector,
            "candidates": len(ids),
            "memory": selection.memory,
            "whole": selection.whole,
            "picks": [record(pick) for pick in selection.explanation.picks],
            "passed_over": [record(passed) for passed in selection.explanation.passed_over],
            "traces": selection.traces,
            "seconds": selection.seconds,
        },
        indent=2,
    )


def print_selection(selection: Selection) -> None:
    """Print the picks, the nearest neighbours that were passed over, and what was done."""
    console = Console(highlight=False)
    console.print(_picks(selection, console.width))
    console.print(Text(_PICKS_LEGEND, style="dim"))
    if selection.explanation.passed_over:
        console.print()
        console.print(_passed_over(selection, console.width))
        console.print(Text(_PASSED_LEGEND, style="dim"))
    console.print()
    console.print(Text(printable(" ".join(selection.words()))))


def _picks(selection: Selection, width: int) -> Table:
    rows = [
        (
            str(number),
            f"{pick.cosine:.3f}",
            f"{100 * pick.gain:.1f}",
            f"{100 * pick.variance:.1f}",
            _taken(pick),
            f"{'=' if pick.like.row == pick.row else ''}{pick.like.pick}" if pick.like else "",
        )
        for number, pick in enumerate(selection.explanation.picks, start=1)
    ]
    headings = ("#", "cosine", "gain %", "left %", "taken %", "like")
    return _table(headings, (), rows, [selection.examples[pick.row] for pick in selection.explanation.picks], width)


def _passed_over(selection: Selection, width: int) -> Table:
    passed_over = selection.explanation.passed_over
    rows = [
        (str(passed.rank), f"{passed.cosine:.3f}", f"{100 * passed.gain:.1f}", passed.words.replace(" pick", ""))
        for passed in passed_over
    ]
    headings = ("near", "cosine", "gain %")
    return _table(headings, ("not picked",), rows, [selection.examples[passed.row] for passed in passed_over], width)


def _taken(pick: Picked) -> str:
    if pick.like is None:
        return ""
    return f"{100 * pick.taken:.0f}" if pick.taken >= 0 else "<0"


def _table(
    numbers: Sequence[str],
    words: Sequence[str],
    rows: Sequence[Sequence[str]],
    examples: Sequence[Example],
    width: int,
) -> Table:
    """Rows of numbers and then words, with the source and the first words of the example of each."""
    places = [source(example, _SOURCE_WIDTH) for example in examples]
    lines = [[*numbers, *words, "source"], *([*row, place] for row, place in zip(rows, places, strict=True))]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    # What the narrow columns leave: rich would squeeze them all to nothing for the sake of the last.
    left = width - sum(widths) - len(widths) * _GAP
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in (*words, "source", "text"):
        table.add_column(heading, no_wrap=True)
    for row, place, example in zip(rows, places, examples, strict=True):
        text = Text(first_words(example.text, _TEXT_WIDTH))
        text.truncate(max(1, left), overflow="ellipsis")
        table.add_row(*row, Text(place), text)
    return table
