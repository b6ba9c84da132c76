"""A stream of queries whose topics come back, cut from held-out documents."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from whet.memory import chunk_text
from whet.tasks import MODES
from whet.types import Example, Query

SHORTEST = 200
"""Characters below which a passage is left out."""
SHIFT = (0.05, 0.5)
"""By how much of its length a passage is moved when it is asked about again in other words."""
VISIT = 3
"""The most queries that a visit to a topic asks."""


@dataclass(frozen=True)
class Ask:
    """A query of the stream.

    Attributes:
        domain, topic, document: what it is about; a topic is one document, or some short ones of a domain.
        kind: `new`: a passage; `restated`: a window moved within the document; `again`: an exact repeat.
        text: the passage; its first half is searched with and its second is scored.
        first: number in the stream of the first query with this text.
    """

    domain: str
    topic: str
    document: str
    kind: str
    text: str
    first: int = -1

    @cached_property
    def query(self) -> Query:
        """What is searched with, given and scored."""
        return MODES["halves"](self.text)


@dataclass(frozen=True)
class _Document:
    domain: str
    name: str
    text: str

    def passages(self) -> list[tuple[int, int]]:
        """Begin and end of each passage that is long enough."""
        ends = np.cumsum([len(chunk.text) for chunk in chunk_text(self.text)]).tolist()
        spans = zip([0, *ends[:-1]], ends, strict=True)
        return [(begin, end) for begin, end in spans if len(self.text[begin:end].strip()) >= SHORTEST]


def make_stream(
    records: Iterable[Example], *, topics: int, passages: int, restated: int, again: int, seed: int = 0
) -> list[Ask]:
    """Topics of every domain, interleaved at random.

    A topic's passages are asked about in order, one after another or with other topics between; those asked about
    again come somewhere after the passage that they repeat.

    Args:
        records: chunks of documents, with `domain`, `doc` and `chunk` in their meta.
        topics: of each domain; fewer where the domain has no more text.
        passages: of each topic.
        restated, again: queries of these kinds in the whole stream.
        seed: of every draw.
    """
    rng = np.random.default_rng(seed)
    members: dict[str, list[_Document]] = defaultdict(list)
    for document in _documents(records):
        members[document.domain].append(document)
    told = [topic for _, documents in sorted(members.items()) for topic in _topics(documents, topics, passages)]
    plan = [[Ask(d.domain, name, d.name, "new", d.text[begin:end]) for d, begin, end in spans] for name, spans in told]
    flat = [(t, span) for t, (_, spans) in enumerate(told) for span in spans]
    moved = 0
    for i in rng.permutation(len(flat)):
        topic, (document, begin, end) = flat[i]
        shift = int(rng.uniform(*SHIFT) * (end - begin))
        text = document.text[begin + shift : end + shift]
        if moved < restated and len(text.strip()) >= SHORTEST:
            origin = document.text[begin:end]
            _insert(plan[topic], origin, Ask(document.domain, told[topic][0], document.name, "restated", text), rng)
            moved += 1
    for i in rng.permutation(len(flat))[:again]:
        topic, (document, begin, end) = flat[i]
        text = document.text[begin:end]
        _insert(plan[topic], text, Ask(document.domain, told[topic][0], document.name, "again", text), rng)
    return _numbered(_interleaved(plan, rng))


def _documents(records: Iterable[Example]) -> list[_Document]:
    """Whole documents, ordered by a hash of their text, which is as good as at random."""
    chunks: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for record in records:
        chunks[str(record.meta["domain"]), str(record.meta["doc"])].append(record)
    whole = [
        _Document(domain, name, "".join(part.text for part in sorted(parts, key=lambda part: int(part.meta["chunk"]))))
        for (domain, name), parts in chunks.items()
    ]
    return sorted(whole, key=lambda document: Example(target=document.text).id)


def _topics(
    documents: Sequence[_Document], topics: int, passages: int
) -> list[tuple[str, list[tuple[_Document, int, int]]]]:
    """Runs of passages: from one document, or where it is short from the next ones as well."""
    waiting = deque((document, document.passages()) for document in documents)
    found: list[tuple[str, list[tuple[_Document, int, int]]]] = []
    while waiting and len(found) < topics:
        spans: list[tuple[_Document, int, int]] = []
        while waiting and len(spans) < passages:
            document, left = waiting.popleft()
            take = passages - len(spans)
            spans += [(document, begin, end) for begin, end in left[:take]]
            if left[take:]:
                waiting.append((document, left[take:]))
        if spans:
            found.append((f"{documents[0].domain}/{len(found)}", spans))
    return found


def _insert(asks: list[Ask], origin: str, ask: Ask, rng: np.random.Generator) -> None:
    """Put a query somewhere behind the one with the text that it comes from."""
    after = next(place for place, other in enumerate(asks) if other.text == origin)
    asks.insert(int(rng.integers(after + 1, len(asks) + 1)), ask)


def _interleaved(plan: Sequence[Sequence[Ask]], rng: np.random.Generator) -> list[Ask]:
    """Visit topics at random, never the same twice in a row while there are others, for some queries each time."""
    waiting = {topic: deque(asks) for topic, asks in enumerate(plan) if asks}
    stream: list[Ask] = []
    last = -1
    while waiting:
        others = [topic for topic in waiting if topic != last] or list(waiting)
        last = int(rng.choice(others))
        for _ in range(int(rng.integers(1, VISIT + 1))):
            if waiting[last]:
                stream.append(waiting[last].popleft())
        if not waiting[last]:
            del waiting[last]
    return stream


def _numbered(stream: Sequence[Ask]) -> list[Ask]:
    first: dict[str, int] = {}
    return [replace(ask, first=first.setdefault(ask.text, number)) for number, ask in enumerate(stream)]
