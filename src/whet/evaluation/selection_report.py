"""The page of one selection: where the picks lie, what they leave unknown, and why these."""

from __future__ import annotations

from pathlib import Path

from whet.evaluation.figures import variance_lines
from whet.evaluation.page import Gallery, Listing, Picture, Prose, Section, Table, table, write_report
from whet.evaluation.selection import Selection
from whet.evaluation.selection_figures import plane, selection_plane
from whet.selection import Alike
from whet.selection.explanation import REDUNDANT
from whet.types import Example

_SNIPPET = 40


def selection_report(path: Path, selection: Selection) -> None:
    """Write the page.

    Raises:
        StoreError: the file cannot be written.
    """
    sections = [
        Section("The query", (Listing(selection.query, "What was asked."), *map(Prose, selection.words()))),
        Section("The choice in pictures", (_pictures(selection),)),
        Section("The picks", (_picks(selection),)),
    ]
    if selection.explanation.passed_over:
        sections.append(Section("Nearest neighbours that were passed over", (_passed_over(selection),)))
    write_report(path, f"What {selection.selector} chooses", sections)


def _pictures(selection: Selection) -> Gallery:
    points, share = plane(selection.candidates.vectors, selection.candidates.query)
    return Gallery(
        (
            Picture(
                selection_plane(points, share, selection.explanation, selection.selector),
                "The candidates, by cosine to the query and along the direction in which they differ most once their "
                f"part along the query is taken away. It has {100 * share:.0f}% of that difference: what is close here "
                "may be far apart elsewhere.",
            ),
            Picture(
                variance_lines(selection.traces),
                "Posterior variance of the query after each pick, as a share of the prior variance: by this "
                "selector, by nearest neighbours, and in the mean of random draws from the candidates shown.",
            ),
        )
    )


def _picks(selection: Selection) -> Table:
    rows = [
        (
            str(number),
            f"{pick.cosine:.3f}",
            f"{100 * pick.gain:.2f}",
            f"{100 * pick.variance:.1f}",
            f"{100 * pick.alone:.1f}",
            _taken(pick.taken) if pick.like else "–",
            "the same again" if pick.before else _like(pick.like),
            *_example(selection.examples[pick.row]),
        )
        for number, pick in enumerate(selection.explanation.picks, start=1)
    ]
    return table(
        ("pick", "cosine", "gain, %", "left, %", "alone, %", "taken, %", "most like", "from", "begins"),
        rows,
        caption="In order. Gain: by how much the pick lowers the variance of the query; left: what remains after it; "
        "alone: its gain had it been the first; taken: the share of that which the earlier picks had taken, <0 where "
        "they made it tell more; most like: the earlier pick of largest |cosine| to it.",
        words=(0, 6, 7, 8),
    )


def _passed_over(selection: Selection) -> Table:
    rows = [
        (
            str(passed.rank),
            f"{passed.cosine:.3f}",
            f"{100 * passed.gain:.2f}",
            f"{100 * passed.alone:.1f}",
            _taken(passed.taken),
            passed.words,
            _like(passed.like),
            *_example(selection.examples[passed.row]),
        )
        for passed in selection.explanation.passed_over
    ]
    return table(
        ("neighbour", "cosine", "gain, %", "alone, %", "taken, %", "why not", "most like", "from", "begins"),
        rows,
        caption="Gain: by how much it would lower the variance after all picks. Why not: excluded, by the limits that "
        "were given; missed, it would tell more than the last pick did; redundant, the picks have taken "
        f"{100 * REDUNDANT:.0f}% or more of what it tells alone; less informative, the rest. Most like: the pick or "
        "nearer neighbour of largest |cosine| to it.",
        words=(0, 5, 6, 7, 8),
    )


def _like(like: Alike | None) -> str:
    return "–" if like is None else f"{like.words}, {like.cosine:.2f}"


def _taken(share: float) -> str:
    return f"{100 * share:.0f}" if share >= 0 else "<0"


def _example(example: Example) -> tuple[str, str]:
    meta = example.meta
    path = str(meta["path"]).rsplit("/", 1)[-1] if "path" in meta else example.id[:8]
    words = " ".join(example.text.split())
    return (
        f"{path}:{meta['line']}" if "path" in meta and "line" in meta else path,
        words if len(words) <= _SNIPPET else words[: _SNIPPET - 1] + "…",
    )
