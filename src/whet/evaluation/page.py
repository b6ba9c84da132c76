"""A page to look at: one HTML file that needs nothing else, made of a few building blocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from whet.evaluation.figures import Svg
from whet.evaluation.files import write_atomically

_STRONGEST = 0.45
"""Opacity of the strongest tint of a cell: the text on it stays readable in light and dark."""


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "prose"


@dataclass(frozen=True)
class Listing:
    """Text that keeps its lines and spaces, such as code; `caption` says what it is."""

    text: str
    caption: str
    kind: ClassVar[str] = "listing"


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it says.
        note: a smaller second line.
        tint: from -1 (blue, better) to 1 (orange, worse); 0 is plain.
    """

    text: str
    note: str = ""
    tint: float = 0.0

    @property
    def background(self) -> str:
        """Colour of the ground, as CSS."""
        strength = min(1.0, abs(self.tint)) * _STRONGEST
        colour = "0, 114, 178" if self.tint < 0 else "213, 94, 0"
        return f"rgba({colour}, {strength:.2f})"


@dataclass(frozen=True)
class Table:
    """A table; its first column names the rows. The columns `words` hold words, the others numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    words: tuple[int, ...] = (0,)
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Picture:
    """A figure and what it shows."""

    svg: Svg
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Figures side by side where there is room."""

    pictures: tuple[Picture, ...]
    kind: ClassVar[str] = "gallery"


Block = Prose | Listing | Table | Gallery


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


def table(
    header: Sequence[str], rows: Sequence[Sequence[str | Cell]], *, caption: str = "", words: tuple[int, ...] = (0,)
) -> Table:
    """A table of plain words and cells."""
    cells = tuple(tuple(Cell(c) if isinstance(c, str) else c for c in row) for row in rows)
    return Table(tuple(header), cells, caption, words)


def settings(config: dict[str, object]) -> Section:
    """The section that says how the figures came about."""
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in config.items()]
    return Section("Settings", (Listing("\n".join(lines), "What this run was made with."),))


def write_report(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write the report, all of it or nothing.

    Raises:
        StoreError: it cannot be written.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("whet.evaluation", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(title=title, sections=sections)
    write_atomically(path, page)
