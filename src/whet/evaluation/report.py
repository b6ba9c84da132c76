"""The report of a measurement of language modelling."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from whet.evaluation.figures import percent_dots, percent_span, seconds_bars
from whet.evaluation.findings import difference, name, phases, several_picks, verdicts
from whet.evaluation.page import Block, Cell, Gallery, Picture, Prose, Section, Table, settings, table, write_report
from whet.evaluation.summary import Row

METHODS = {
    "base": "base: the model as it is.",
    "context": "context: what SIFT picks, in the prompt, as much of it as fits; nothing is trained.",
    "random": "random: an adapter trained on examples drawn at random.",
    "nearest": "nearest: an adapter trained on the nearest neighbours of the query.",
    "repeat": "repeat: an adapter trained on the nearest neighbour again and again.",
    "sift": "sift: an adapter trained on what SIFT picks, λ in brackets: small for diversity, large for nearness.",
}
_MODES = {
    "whole": "Mode whole: the memory is searched with the whole text, and all of it is scored.",
    "halves": "Mode halves: the memory is searched with the first half of the text; the second is scored after it.",
}
_STRONG_PERCENT = 50.0
"""Per cent away from the base at which a cell has its strongest tint."""


def language_report(
    rows: Sequence[Row], config: dict[str, object], path: Path, *, unions: Collection[str] = ()
) -> Path:
    """Write the report of `whet eval language`.

    Args:
        rows: of `summarise`.
        config: everything that fixes the run, as plain values.
        path: the HTML file.
        unions: domains that are unions of others; shown after `all` and before the others.

    Returns:
        The path, for whoever has to name it.

    Raises:
        StoreError: the file cannot be written.
    """
    sections = [Section("How to read this", reading(rows))]
    for mode in dict.fromkeys(row.mode for row in rows):
        sections += _mode_sections([row for row in rows if row.mode == mode], mode, unions)
    write_report(path, "Bits per byte of held-out text", [*sections, settings(config)])
    return path


def reading(rows: Sequence[Row]) -> tuple[Block, ...]:
    """What the words on the page mean."""
    families = dict.fromkeys(row.method.split("(")[0] for row in rows)
    return (
        Prose(
            "Bits per byte of held-out text: how many bits the model needs for each byte, fewer are better. Per cent "
            "of base: 100 is the model as it is. Intervals are 95% bootstrap intervals over queries; differences are "
            "paired by query. All trained methods take as many gradient steps as picks, one after the other."
        ),
        Prose(" ".join(METHODS[family] for family in families if family in METHODS)),
    )


def measured(rows: Sequence[Row], *, caption: str = "") -> Table:
    """The table of rows of one domain and mode."""
    several = several_picks(rows)
    return table(
        ("method", "bits per byte", "% of base", "paired difference", "queries", "s per query"),
        [
            (
                name(row, several=several),
                f"{row.bits_per_byte:.3f}",
                Cell(f"{row.percent_of_base:.1f}", note=_interval(row)),
                "" if row.method == "base" else difference(row),
                str(row.queries),
                f"{sum(row.seconds_per_query.values()):.2f}",
            )
            for row in rows
        ],
        caption=caption,
    )


def dots(panels: Mapping[str, Sequence[Row]]) -> Gallery:
    """Figures of per cent of base on one axis: one for each domain, all of one mode."""
    span = percent_span(row for rows in panels.values() for row in rows)
    pictures = []
    for domain, rows in panels.items():
        shown = [row for row in rows if row.method != "base"]
        labels = [name(row, several=several_picks(rows)) for row in shown]
        caption = f"{domain}: per cent of base with 95% intervals, {rows[0].queries} queries."
        pictures.append(Picture(percent_dots(shown, labels, span), caption))
    return Gallery(tuple(pictures))


def bars(rows: Sequence[Row], caption: str) -> Picture:
    """The figure of seconds by phase, for rows of one domain and mode."""
    several = several_picks(rows)
    return Picture(seconds_bars({name(row, several=several): row.seconds_per_query for row in rows}), caption)


def seconds(rows: Sequence[Row], caption: str) -> Table:
    """The seconds of a query by phase, for rows of one domain and mode."""
    several = several_picks(rows)
    there = phases(row.seconds_per_query for row in rows)
    return table(
        ("method", *there, "in all"),
        [
            (
                name(row, several=several),
                *(f"{row.seconds_per_query[p]:.3f}" if p in row.seconds_per_query else "" for p in there),
                f"{sum(row.seconds_per_query.values()):.3f}",
            )
            for row in rows
        ],
        caption=caption,
    )


def _mode_sections(rows: Sequence[Row], mode: str, unions: Collection[str]) -> list[Section]:
    domains = list(dict.fromkeys(row.domain for row in rows))
    wide = ["all", *(domain for domain in domains if domain in unions)]
    narrow = [domain for domain in domains if domain not in wide]
    of = {domain: [row for row in rows if row.domain == domain] for domain in domains}
    everything = of["all"]
    blocks: list[Block] = [Prose(_MODES.get(mode, f"Mode {mode}.")), *map(Prose, verdicts(everything))]
    if _compares(everything):
        blocks.append(dots({domain: of[domain] for domain in wide}))
    blocks += [measured(of[d], caption=f"Domain: {d}.") for d in wide]
    sections = [Section(f"Mode: {mode}", tuple(blocks))]
    if len(narrow) > 1 and _compares(everything):
        sections.append(Section(f"By domain, mode {mode}", (_by_domain({d: of[d] for d in [*wide, *narrow]}),)))
    caption = "Seconds per query by phase, on one core."
    cost = (Gallery((bars(everything, caption),)), seconds(everything, caption))
    return [*sections, Section(f"What a query costs, mode {mode}", cost)]


def _compares(rows: Sequence[Row]) -> bool:
    return any(row.method != "base" for row in rows)


def _by_domain(domains: dict[str, Sequence[Row]]) -> Table:
    columns = list(dict.fromkeys((r.method, r.picks) for rows in domains.values() for r in rows if r.method != "base"))
    several = len({picks for _, picks in columns}) > 1
    return table(
        ("domain", "queries", "base, bits/byte", *(f"{m}, {n} picks" if several else m for m, n in columns)),
        [_domain_line(domain, rows, columns) for domain, rows in domains.items()],
        caption="Per cent of base with 95% intervals: blue is better than the base, orange worse.",
    )


def _domain_line(domain: str, rows: Sequence[Row], columns: Sequence[tuple[str, int]]) -> list[str | Cell]:
    cells = {(row.method, row.picks): row for row in rows}
    base = cells["base", 0]
    line: list[str | Cell] = [domain, str(base.queries), f"{base.bits_per_byte:.3f}"]
    for column in columns:
        row = cells.get(column)
        line.append("–" if row is None else _percent(row))
    return line


def _percent(row: Row) -> Cell:
    return Cell(f"{row.percent_of_base:.1f}", note=_interval(row), tint=(row.percent_of_base - 100) / _STRONG_PERCENT)


def _interval(row: Row) -> str:
    return f"{row.ci95[0]:.1f}–{row.ci95[1]:.1f}" if row.ci95 and row.method != "base" else ""
