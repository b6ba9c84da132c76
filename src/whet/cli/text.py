"""Text from models and files, made fit to be shown on a terminal."""

from __future__ import annotations

from whet.types import Example


def printable(text: str, keep: str = "") -> str:
    """The text with every character that could steer a terminal replaced, but for those in `keep`.

    >>> printable("a\\x1b[2Jb")
    'a�[2Jb'
    """
    return "".join(c if c.isprintable() or c in keep else "�" for c in text)


def first_words(text: str, length: int) -> str:
    """The beginning of a text on one line, with single spaces."""
    return printable(" ".join(text[: 4 * length].split()))[:length]


def source(example: Example, length: int) -> str:
    """Where an example came from: path and line, or its other meta, or its id; a long one keeps its end."""
    meta = example.meta
    if "path" in meta:
        place = f"{meta['path']}:{meta['line']}" if "line" in meta else str(meta["path"])
    else:
        place = ", ".join(f"{field}={value}" for field, value in meta.items()) or example.id
    place = printable(place)
    return place if len(place) <= length else "…" + place[1 - length :]
