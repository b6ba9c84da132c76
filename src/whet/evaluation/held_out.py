"""Texts of a memory held out as queries: each searches a memory that seems never to have held it or its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

import numpy as np

from whet.errors import InputError
from whet.memory import Candidates, Memory
from whet.tasks import MODES
from whet.types import Example

_SHORTEST = 100
"""Characters; half of a shorter text says too little to search with."""

_NEAR_COPY = 0.98
_RECORD_FILES = (".jsonl", ".jsonl.gz", ".parquet")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A text of the memory as a query.

    Attributes:
        id: of its example.
        given: its first half, which the memory is searched with.
        target: its second half, which is scored after the first.
        candidates: what may be learnt from.
    """

    id: str
    given: str
    target: str
    candidates: Candidates


@dataclass(frozen=True)
class _Source:
    """What the examples of one source are: all ids, and those whose text is long enough for a query."""

    ids: list[str]
    fit: list[str]


def hold_out(memory: Memory, count: int, *, candidates: int, seed: int) -> tuple[list[HeldOut], list[HeldOut]]:
    """Draw `count` texts at random, in two halves that have no source in common.

    At most one text of each source, as long as there are sources enough: texts of one source resemble each other, and
    an interval over many of them would be too narrow.

    A text may not learn from itself, from what has a cosine of 0.98 or more to it, or from other texts of its source:
    the file that it was cut from, or, of a file of records, the record. A text whose meta names no `path` is a source
    of its own.

    Args:
        memory: where from.
        count: how many texts, at least 4.
        candidates: how many examples the memory proposes for each.
        seed: of the draw.

    Returns:
        The queries to tune on and those to report on; of an odd number the second half is the larger.

    Raises:
        InputError: there are not so many texts of at least 100 characters, or all of them are from one source.
        EmptyMemoryError: nothing is left for a text to learn from.
    """
    if count < 4:
        raise InputError(f"queries={count}: give at least 4, two to tune on and two to report on.")
    sources = _sources(memory)
    halves = _halves(sources, count, seed)
    fit = sum(len(source.fit) for source in sources.values())
    if sum(map(len, halves)) < count:
        raise InputError(
            f"queries={count}: of the {len(memory):,} examples of {str(memory.path)!r}, {fit:,} have at least "
            f"{_SHORTEST} characters, and two halves without a common source hold {len(halves[0])} and "
            f"{len(halves[1])} of them; ask for fewer queries, or index more files."
        )
    tuning, reporting = (_held_out(memory, half, sources, candidates) for half in halves)
    return tuning, reporting


def _sources(memory: Iterable[Example]) -> dict[str, _Source]:
    sources: dict[str, _Source] = {}
    for example in memory:
        source = sources.setdefault(_source(example), _Source([], []))
        source.ids.append(example.id)
        if len(example.text) >= _SHORTEST and all(half.strip() for half in _halved(example)):
            source.fit.append(example.id)
    return sources


def _source(example: Example) -> str:
    path = example.meta.get("path")
    if path is None:
        return example.id
    of_records = str(path).lower().endswith(_RECORD_FILES)
    return f"{path}:{example.meta.get('line')}" if of_records else str(path)


def _halves(sources: Mapping[str, _Source], count: int, seed: int) -> tuple[dict[str, str], dict[str, str]]:
    """The source of each text that was drawn, by its id, in the order of the draw."""
    rng = np.random.default_rng(seed)
    usable = [name for name, source in sources.items() if source.fit]
    names = [usable[place] for place in rng.permutation(len(usable)).tolist()]
    first = count // 2
    return _drawn(sources, names[::2], first, rng), _drawn(sources, names[1::2], count - first, rng)


def _drawn(
    sources: Mapping[str, _Source], names: Sequence[str], count: int, rng: np.random.Generator
) -> dict[str, str]:
    """One text of each source; where there are fewer sources than texts are wanted, another of each, and so on."""
    shuffled = [[(id, name) for id in rng.permutation(sources[name].fit).tolist()] for name in names[:count]]
    rounds = chain.from_iterable(zip_longest(*shuffled))
    return dict(islice((drawn for drawn in rounds if drawn is not None), count))


def _held_out(
    memory: Memory, half: Mapping[str, str], sources: Mapping[str, _Source], candidates: int
) -> list[HeldOut]:
    texts = [_halved(example) for example in memory.get(half)]
    vectors = memory.embed([given for given, _ in texts])
    return [
        HeldOut(
            id, given, target, memory.search(vector, candidates, exclude={*sources[name].ids, *_copies(memory, id)})
        )
        for (id, name), (given, target), vector in zip(half.items(), texts, vectors, strict=True)
    ]


def _halved(example: Example) -> tuple[str, str]:
    query = MODES["halves"](example.text)
    assert query.target is not None
    return query.given, query.target


def _copies(memory: Memory, id: str) -> list[str]:
    ids, matrix = memory.vectors
    return [ids[row] for row in np.flatnonzero(matrix @ matrix[ids.index(id)] >= _NEAR_COPY)]
