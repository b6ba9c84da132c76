"""Cutting long text into pieces at sensible borders, so that the pieces joined are the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from whet.errors import InputError

_BORDERS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        # After blank lines; before a definition at top level, but not between a decorator and what it decorates.
        r"\n(?:[^\S\n]*\n)+|^(?!@)[^\n]*\n(?=(?:async def|def|class)\s|@)",
        r"\n",
        r"[.!?][\"')\]]*\s+|[。！？]",
        r"\s+",
    )
)
"""Where to cut, best kind first; a cut is at the end of a match."""

_LOOKAHEAD = 16
"""Characters past the last allowed cut that a border may look at."""

_INK = re.compile(r"\S")


@dataclass(frozen=True)
class Chunk:
    """A piece of a text.

    Attributes:
        text: the piece.
        line: number of the line (from 1) that its first character is on.
    """

    text: str
    line: int


def chunk_text(text: str, *, max_chars: int = 800, min_chars: int = 200) -> Iterator[Chunk]:
    """Cut a text into contiguous pieces of at most `max_chars` characters; joined they are the text again.

    Each cut is the last one of the best kind that the lengths allow: after blank lines or before a top-level
    definition, then line ends, sentence ends, spaces, anywhere. Pieces have at least `min_chars` characters and none
    is blank, save where the whole text is too short or blank, or a run of white space is about half of `max_chars` or
    longer. Takes time linear in the length of the text.

    Raises:
        InputError: not 1 ≤ `min_chars` ≤ `max_chars` / 2.

    >>> [chunk.text for chunk in chunk_text("One two. Three four.", max_chars=12, min_chars=2)]
    ['One two. ', 'Three four.']
    """
    if not 1 <= min_chars <= max_chars // 2:
        raise InputError(
            f"min_chars={min_chars} and max_chars={max_chars} leave no room for a cut; "
            "give 1 <= min_chars <= max_chars / 2."
        )
    last_ink = len(text.rstrip()) - 1
    start, line = 0, 1
    while len(text) - start > max_chars:
        cut = _cut(text, start, max_chars, min_chars, last_ink)
        yield Chunk(text[start:cut], line)
        line += text.count("\n", start, cut)
        start = cut
    if start < len(text):
        yield Chunk(text[start:], line)


def _cut(text: str, start: int, max_chars: int, min_chars: int, last_ink: int) -> int:
    """Where the piece that begins at `start` ends, given that the rest is longer than `max_chars`."""
    hard = start + max_chars
    ink = _INK.search(text, start, hard)
    if ink is None:
        return hard
    low = max(start + min_chars, ink.end())
    high = min(hard, len(text) - min_chars, last_ink)  # What is left over must not be too short or blank.
    if low > high:
        return hard
    for border in _BORDERS:
        ends = (match.end() for match in border.finditer(text, start, high + _LOOKAHEAD))
        inside = [end for end in ends if low <= end <= high]
        if inside:
            return inside[-1]
    return high
