"""The acts of the demo as a person reads them on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill, indent
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from whet.cli.text import first_words, printable, source
from whet.evaluation.demo import Act, Comparison, Inside, Opening, Puzzles, Reuse
from whet.evaluation.demo.puzzles import Puzzle
from whet.evaluation.demo.words import (
    attempt_words,
    comparison_words,
    inside_words,
    nothing_words,
    prompt_words,
    puzzle_words,
    puzzles_words,
    reuse_words,
)
from whet.evaluation.findings import difference, phases
from whet.evaluation.summary import Row, summarise
from whet.tasks.arc.draw import print_grids
from whet.tasks.arc.grids import Grid

_WIDTH = 80
_SOURCE = 22
_WORDS = 20
_MOST_PASSED = 5


class _Grids(NamedTuple):
    """Grids side by side, with arrows between them."""

    title: str
    grids: tuple[Grid, ...]


_Part = RenderableType | _Grids


def show(act: Act) -> None:
    """Print an act to stdout."""
    console = Console(highlight=False)
    console.width = _WIDTH
    for part in _parts(act):
        if isinstance(part, _Grids):
            print_grids(part.title, part.grids, console)
        else:
            console.print(_filled(part) if isinstance(part, str) else part, markup=False)
    console.print()


def _parts(act: Act) -> Iterable[_Part]:
    match act:
        case Opening():
            return _opening(act)
        case Comparison():
            return _comparison(act)
        case Inside():
            return _inside(act)
        case Reuse():
            return _reuse(act)
        case Puzzles():
            return _puzzles(act)


def _opening(opening: Opening) -> Iterable[RenderableType]:
    yield (
        f"Memory: {opening.examples:,} chunks ({opening.characters / 1e6:.2f} million characters) of the standard "
        "library's sources and of Python's help topics. Queries: "
        f"{opening.queries} texts, from {opening.modules} modules and {opening.topics} topics that are not in it and "
        f"that whet-base was not trained on. Model: {printable(opening.model)}."
    )


def _comparison(comparison: Comparison) -> Iterable[RenderableType]:
    rows = comparison.of("all")
    yield _heading("Act 1. Language")
    yield (
        f"The first half of each of {rows[0].queries} texts is the query, the second is scored. Adapters take "
        f"{comparison.picks} steps. Fewer bits per byte are better; brackets are 95% intervals."
    )
    yield ""
    yield _measured(rows)
    yield ""
    yield _seconds(rows)
    yield from _sentences(comparison_words(comparison))


def _inside(inside: Inside) -> Iterable[RenderableType]:
    yield _heading("Act 2. One query from inside")
    yield f"{prompt_words(inside)} Its last lines:"
    yield _quoted("\n".join(inside.query.given.rstrip().split("\n")[-4:]))
    yield _picks(inside)
    if inside.passed_over:
        yield ""
        yield (
            "Nearest neighbours that SIFT passed over, each with the pick or nearer one most like it, and what it "
            "would remove of the variance alone and now, after the picks:"
        )
        yield _passed_over(inside)
    yield from _sentences(inside_words(inside))
    for caption, text in (
        ("Before, the model goes on:", inside.plain),
        ("After, it goes on:", inside.answer.text),
        ("The text really goes on:", (inside.query.target or "")[: max(len(inside.plain), len(inside.answer.text))]),
    ):
        yield Text(caption, style="bold")
        yield _quoted(text.strip("\n"))


def _reuse(reuse: Reuse) -> Iterable[RenderableType]:
    yield _heading("Act 3. A cache hit")
    yield (
        "Somebody types: the second query is the first and some lines more, from the middle of a held-out module. "
        "Fresh: an adapter trained for the second. Reused: that of the first."
    )
    yield ""
    rows = [row for row in summarise(reuse.records) if row.domain == "all"]
    if rows:
        yield _measured(rows)
        yield ""
        yield _seconds(rows)
    yield from _sentences(reuse_words(reuse))


def _puzzles(puzzles: Puzzles) -> Iterable[_Part]:
    yield _heading("Act 4. ARC")
    yield from map(printable, puzzles_words(puzzles))
    for puzzle in puzzles.puzzles:
        yield ""
        yield Text(printable(puzzle_words(puzzle)), style="bold")
        yield from _puzzle(puzzle)


def _puzzle(puzzle: Puzzle) -> Iterable[_Part]:
    task = puzzle.task
    yield _Grids(f"training pair 1 of {len(task.train)}", (task.train[0].input, task.train[0].output))
    for test, given in enumerate(task.test):
        tried = puzzle.tried(test)
        for number, attempt in enumerate(tried, start=1):
            yield _Grids(f"test input {test + 1} → attempt {number}", (given, attempt.grid))
            yield printable(attempt_words(attempt))
            if attempt.program:
                program = Text(f"    {printable(attempt.program)}", style="cyan")
                program.truncate(_WIDTH, overflow="ellipsis")
                yield program
        if not tried:
            yield _Grids(f"test input {test + 1}", (given,))
            yield printable(nothing_words(puzzle))


def _measured(rows: Sequence[Row]) -> Table:
    table = _table("method", "bits/byte", "% of base", "difference to base")
    for row in rows:
        low, high = row.ci95 or (row.percent_of_base,) * 2
        plain = row.method == "base"
        table.add_row(
            row.method,
            f"{row.bits_per_byte:.3f}",
            "100.0" if plain else f"{row.percent_of_base:5.1f} ({low:.1f}–{high:.1f})",
            "" if plain else difference(row),
        )
    return table


def _seconds(rows: Sequence[Row]) -> Table:
    there = phases(row.seconds_per_query for row in rows)
    table = _table("seconds", *there, "in all")
    for row in rows:
        spent = row.seconds_per_query
        table.add_row(
            row.method,
            *(_duration(spent[phase]) if phase in spent else "" for phase in there),
            f"{sum(spent.values()):.2f}",
        )
    return table


def _picks(inside: Inside) -> Table:
    """The picks in order, each with the loss on it before and after its step; one held out has no step."""
    table = _table("#", "variance", "cosine", "loss", "after")
    table.add_column("from", no_wrap=True)
    table.add_column("begins", no_wrap=True)
    steps = list(inside.steps)
    for number, pick in enumerate(inside.answer.picks, start=1):
        step = steps.pop(0) if steps and steps[0].example == pick.example else None
        table.add_row(
            str(number),
            f"{pick.variance:.4f}",
            f"{pick.similarity:.3f}",
            f"{step.before:.2f}" if step else "held",
            f"{step.after:.2f}" if step else "out",
            Text(source(pick.example, _SOURCE)),
            Text(first_words(pick.example.text, _WORDS)),
        )
    return table


def _passed_over(inside: Inside) -> Table:
    table = _table("rank", "cosine", "alone", "now")
    table.add_column("like", no_wrap=True)
    table.add_column("from", no_wrap=True)
    table.add_column("begins", no_wrap=True)
    for passed in inside.passed_over[:_MOST_PASSED]:
        like = passed.why.like
        table.add_row(
            str(passed.why.rank),
            f"{like.cosine:.3f}" if like else "–",
            f"{passed.why.alone:.3f}",
            f"{passed.why.gain:.3f}",
            like.words.replace("neighbour", "rank") if like else "–",
            Text(source(passed.example, _SOURCE)),
            Text(first_words(passed.example.text, _WORDS - 4)),
        )
    return table


def _table(first: str, *numbers: str) -> Table:
    """A table without lines, whose first column names the rows."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _heading(text: str) -> Rule:
    return Rule(Text(text, style="bold"), align="left", style="dim")


def _sentences(sentences: Iterable[str]) -> Iterable[RenderableType]:
    yield ""
    yield from map(printable, sentences)


def _filled(text: str) -> str:
    return fill(text, _WIDTH, break_on_hyphens=False, break_long_words=False)


def _quoted(text: str) -> Text:
    return Text(indent(printable(text, keep="\n\t"), "    ") + "\n", style="cyan")


def _duration(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.2f}"
