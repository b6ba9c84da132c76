"""The demo's report."""

from __future__ import annotations

from pathlib import Path

from whet.evaluation.demo.comparison import Comparison
from whet.evaluation.demo.data import CODE, HELP
from whet.evaluation.demo.inside import Inside
from whet.evaluation.demo.puzzles import Puzzle, Puzzles
from whet.evaluation.demo.reuse import Reuse
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
from whet.evaluation.figures import Svg, loss_steps, variance_lines
from whet.evaluation.page import Block, Gallery, Listing, Picture, Prose, Section, Table, settings, table, write_report
from whet.evaluation.report import bars, dots, measured, reading, seconds
from whet.evaluation.summary import summarise
from whet.selection.explanation import REDUNDANT
from whet.tasks.arc.svg import rows_svg, task_svg
from whet.types import Example

_SNIPPET = 50

INTRODUCTION = (
    "Everything here was measured on this machine, acts 1 to 3 on text that every Python brings along. The memory "
    "holds sources of the standard library and the help topics of Python. The queries come from ten modules and twelve "
    "topics that are not in it. whet-base was not trained on any of these modules or topics, though on others like "
    "them; another model may have seen all of them."
)


def demo_report(
    path: Path,
    comparison: Comparison,
    inside: Inside,
    reuse: Reuse,
    puzzles: Puzzles,
    described: dict[str, object],
) -> None:
    """Write the report of the acts.

    Raises:
        StoreError: the file cannot be written.
    """
    sections = [
        Section("How to read this", (Prose(INTRODUCTION), *reading(comparison.rows))),
        _language(comparison),
        _inside(inside),
        _reuse(reuse),
        _puzzles(puzzles),
        settings(described),
    ]
    write_report(path, "whet demo: one model, sharpened on each query", sections)


def place(example: Example) -> str:
    """Where an example is from."""
    return f"{example.meta['path']}:{example.meta['line']}"


def snippet(text: str, length: int) -> str:
    """The beginning of a text on one line."""
    words = " ".join(text.split())
    return words if len(words) <= length else words[: length - 1] + "…"


def _language(comparison: Comparison) -> Section:
    everything = comparison.of("all")
    kinds = {kind: rows for kind in ("all", CODE, HELP) if (rows := comparison.of(kind))}
    blocks: list[Block] = [
        Prose(
            f"{everything[0].queries} held-out texts. The first half of each is the query, the second half is scored. "
            f"Each trained method takes {comparison.picks} gradient steps."
        ),
        *map(Prose, comparison_words(comparison)),
        dots(kinds),
        *(measured(rows, caption=f"Queries: {kind}.") for kind, rows in kinds.items()),
        Gallery((bars(everything, "Seconds per query by phase, on one core."),)),
        seconds(everything, "Seconds per query by phase, on one core."),
    ]
    return Section("Act 1. Language", tuple(blocks))


def _inside(inside: Inside) -> Section:
    blocks: list[Block] = [
        Prose(prompt_words(inside)),
        *map(Prose, inside_words(inside)),
        Gallery(
            (
                Picture(variance_lines(inside.traces), "Posterior variance of the query after each pick, by selector."),
                Picture(
                    loss_steps([s.before for s in inside.steps], [s.after for s in inside.steps]),
                    "Loss on the pick of each step, before and after it.",
                ),
            )
        ),
        _picks(inside),
    ]
    if inside.passed_over:
        blocks.append(_passed_over(inside))
    return Section(
        "Act 2. One query from inside",
        (
            *blocks,
            Listing(inside.query.given, "The prompt."),
            Listing(inside.plain, "How the base model goes on (greedy)."),
            Listing(inside.answer.text, "How the sharpened model goes on (greedy)."),
            Listing(inside.query.target or "", "How the text really goes on."),
        ),
    )


def _picks(inside: Inside) -> Table:
    steps = iter(inside.steps)
    upcoming = next(steps, None)
    rows = []
    for number, pick in enumerate(inside.answer.picks, start=1):
        before = after = "held out"
        if upcoming is not None and upcoming.example == pick.example:
            before, after = f"{upcoming.before:.3f}", f"{upcoming.after:.3f}"
            upcoming = next(steps, None)
        source = (place(pick.example), snippet(pick.example.text, _SNIPPET))
        rows.append((str(number), f"{pick.variance:.4f}", f"{pick.similarity:.3f}", before, after, *source))
    return table(
        ("pick", "variance after", "cosine to query", "loss before", "loss after", "from", "begins"),
        rows,
        caption="The picks in order; losses in bits per byte of the pick.",
        words=(0, 5, 6),
    )


def _passed_over(inside: Inside) -> Table:
    rows = [
        (
            str(passed.why.rank),
            passed.why.like.words if passed.why.like else "–",
            f"{passed.why.like.cosine:.3f}" if passed.why.like else "–",
            f"{passed.why.alone:.4f}",
            f"{passed.why.gain:.4f}",
            passed.why.words,
            place(passed.example),
            snippet(passed.example.text, _SNIPPET),
        )
        for passed in inside.passed_over
    ]
    return table(
        ("neighbour", "most like", "cosine of the two", "alone", "after the picks", "why", "from", "begins"),
        rows,
        caption="The nearest neighbours that SIFT passed over: each with the pick or nearer neighbour that it "
        "resembles most, what it would remove of the query's variance as the first pick and after all picks, and why "
        f"it was not picked: it is redundant if the picks have taken {100 * REDUNDANT:.0f}% or more of what it would "
        "remove alone.",
        words=(0, 1, 5, 6, 7),
    )


def _reuse(reuse: Reuse) -> Section:
    blocks: list[Block] = [
        Prose(
            "Somebody types: the second query is the first with some lines more, from the middle of a held-out module. "
            "Fresh: an adapter trained for the second query. Reused: the adapter that was trained for the first. Bits "
            "per byte are those of how the text really goes on. Only pairs that hit are counted."
        ),
        *map(Prose, reuse_words(reuse)),
    ]
    rows = [row for row in summarise(reuse.records) if row.domain == "all"]
    if rows:
        blocks += [
            measured(rows),
            Gallery((dots({"all": rows}).pictures[0], bars(rows, "Seconds per query by phase."))),
            seconds(rows, "Seconds per query by phase, on all workers' cores."),
        ]
    return Section("Act 3. A cache hit", tuple(blocks))


def _puzzles(puzzles: Puzzles) -> Section:
    blocks: list[Block] = [Prose(words) for words in puzzles_words(puzzles)]
    for puzzle in puzzles.puzzles:
        blocks += _puzzle(puzzle)
    return Section("Act 4. ARC", tuple(blocks))


def _puzzle(puzzle: Puzzle) -> list[Block]:
    """The task beside its attempts, and below them their programs."""
    task = puzzle.task
    drawn, words, programs = [], [], []
    for test, given in enumerate(task.test):
        for number, attempt in enumerate(puzzle.tried(test), start=1):
            name = f"test input {test + 1} → attempt {number}"
            drawn.append((name, (given, attempt.grid)))
            words.append(f"{name}: {attempt_words(attempt)}")
            if attempt.program:
                programs.append(Listing(attempt.program, f"The program of {name}."))
    shown = Picture(Svg(task_svg(task)), f"{puzzle_words(puzzle)}. The task.")
    if not drawn:
        return [Gallery((shown,)), Prose(nothing_words(puzzle))]
    return [Gallery((shown, Picture(Svg(rows_svg(drawn)), f"{'; '.join(words)}."))), *programs]
