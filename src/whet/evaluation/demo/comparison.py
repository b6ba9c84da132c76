"""The first act: every method on every held-out query."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from whet.engine import Engine
from whet.evaluation.demo.data import known_share, long_lines
from whet.evaluation.language import Record, Settings, Text
from whet.evaluation.run import Job, measure_all
from whet.evaluation.summary import Row, summarise
from whet.memory import Memory
from whet.tasks import MODES

MODE = "halves"
"""How the demo makes a query of a text: search with the first half, score the second."""


@dataclass(frozen=True)
class Comparison:
    """What came of the comparison.

    Attributes:
        rows: for all queries, for each kind of queries, and for each module.
        records: one a query and method.
        picks: gradient steps of each trained method.
        known_lines: share of the long lines among those scored that stand in the memory word for word.
    """

    rows: tuple[Row, ...]
    records: tuple[Record, ...]
    picks: int
    known_lines: float

    def of(self, domain: str) -> list[Row]:
        """The rows of a domain, one a method."""
        return [row for row in self.rows if row.domain == domain]


def compare(
    engine: Engine,
    texts: Sequence[Text],
    unions: Mapping[str, set[str]],
    *,
    logs: Path,
    workers: int,
    progress: Callable[[int], None],
) -> Comparison:
    """Measure all methods on all texts, at the engine's number of picks.

    The log in the folder `logs` is named by everything that fixes the figures, so that a second run reads it and a
    changed one begins anew.
    """
    config, memory = engine.config, engine.memory
    settings = Settings(picks=(config.picks,), noise=(config.noise,), modes=(MODE,), seed=config.seed)
    job = Job(model=engine.model.name, memory=str(memory.path), config=config, settings=settings)
    fixed = [job.description(), [asdict(text) for text in texts], engine.model.fingerprint, memory.vectors[0]]
    mark = hashlib.blake2b(json.dumps(fixed).encode(), digest_size=6).hexdigest()
    records = measure_all(job, texts, log=logs / f"measurements-{mark}.jsonl", workers=workers, progress=progress)
    return Comparison(
        rows=tuple(summarise(records, unions)),
        records=tuple(records),
        picks=config.picks,
        known_lines=_known_lines(memory, texts),
    )


def _known_lines(memory: Memory, texts: Sequence[Text]) -> float:
    """Of the long lines in the second halves, the share that is in the memory too."""
    known = frozenset(long_lines(example.text for example in memory))
    return known_share((MODES[MODE](text.text).target or "" for text in texts), known)
