"""What happens to examples on their way into a memory: batches, checks, and the account of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from whet.errors import InputError, RecordError
from whet.types import Example

BATCH = 256
"""Examples that are embedded and stored together; what a killed process loses at most."""


@dataclass(frozen=True)
class Added:
    """What came of adding examples.

    Attributes:
        new: stored.
        duplicates: passed over, since the memory held an example of the same content.
        empty: passed over, since they were blank.
        skipped: files and records that could not be read, each with the reason.
    """

    new: int
    duplicates: int
    empty: int = 0
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Examples that are dealt with together.

    Attributes:
        size: how many were given.
        blank: how many of them have no text.
        distinct: the others by id, the first of each.
        places: what to call each of these in a message.
    """

    size: int
    blank: int
    distinct: dict[str, Example]
    places: dict[str, str]


def batches(examples: Iterable[Example]) -> Iterator[Batch]:
    """Examples in batches; those that came before a record that cannot be read are given before it is raised.

    Raises:
        InputError: an example cannot be stored.
    """
    first = 1
    given: list[Example] = []
    try:
        for example in examples:
            given.append(example)
            if len(given) == BATCH:
                yield _batch(given, first)
                first += len(given)
                given = []
    except RecordError:
        if given:
            yield _batch(given, first)
        raise
    if given:
        yield _batch(given, first)


def _batch(examples: Sequence[Example], first: int) -> Batch:
    distinct: dict[str, Example] = {}
    places: dict[str, str] = {}
    blank = 0
    for number, example in enumerate(examples, start=first):
        if not example.text.strip():
            blank += 1
        elif example.id not in distinct:
            places[example.id] = _place(example, number)
            distinct[example.id] = example
            _require_storable(example, places[example.id])
    return Batch(len(examples), blank, distinct, places)


def _place(example: Example, number: int) -> str:
    meta = example.meta
    return f"example {number}" + (f" ({meta['path']}:{meta['line']})" if "path" in meta and "line" in meta else "")


def _require_storable(example: Example, place: str) -> None:
    try:
        example.text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{place} holds half of a surrogate pair (character {error.start + 1} of its text), which cannot be "
            "stored; decode its source as UTF-8, or leave it out."
        ) from error
    try:
        json.dumps(dict(example.meta))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"the meta of {place} cannot be written as JSON ({error}); use strings, numbers, lists and mappings."
        ) from error
