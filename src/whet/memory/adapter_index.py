"""The vectors of adapters in RAM: one matrix for each group that may serve the same queries, one product a lookup."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from whet.memory.adapter_records import AdapterRecord
from whet.memory.base import Vectors, unit_rows
from whet.memory.search import nearest


class Group(NamedTuple):
    """What two adapters must share to be compared; recipes are equal when JSON writes them alike."""

    model: str
    embedder: str
    recipe: str
    dimension: int


def group(model: str, embedder: str, recipe: Mapping[str, Any], dimension: int) -> Group:
    """The group of adapters of a base model, an embedder with vectors of this length, and a recipe."""
    return Group(model, embedder, json.dumps(dict(recipe), sort_keys=True), dimension)


class AdapterIndex:
    """Which adapters there are, and the nearest of them to a vector."""

    def __init__(self) -> None:
        self.records: dict[str, AdapterRecord] = {}
        self._rows: dict[Group, tuple[tuple[str, ...], Vectors]] = {}

    def add(self, records: Iterable[AdapterRecord]) -> None:
        """Take records in; those of one call are copied into the matrix of their group together."""
        new: dict[Group, list[AdapterRecord]] = defaultdict(list)
        for record in records:
            new[_group_of(record)].append(record)
            self.records[record.id] = record
        for where, members in new.items():
            members.sort(key=lambda record: (record.created, record.id))
            names = tuple(record.id for record in members)
            rows = unit_rows([record.vector for record in members], where.dimension, names)
            if where in self._rows:
                held_names, held_rows = self._rows[where]
                names, rows = held_names + names, np.concatenate([held_rows, rows])
            self._rows[where] = (names, rows)

    def remove(self, names: Iterable[str]) -> None:
        """Forget records; unknown names are passed over."""
        gone = {name: self.records.pop(name) for name in names if name in self.records}
        for where in {_group_of(record) for record in gone.values()}:
            held, rows = self._rows.pop(where)
            left = [row for row, name in enumerate(held) if name not in gone]
            if left:
                self._rows[where] = (tuple(held[row] for row in left), rows[left])

    def nearest(self, where: Group, vector: Vectors, k: int) -> list[tuple[AdapterRecord, float]]:
        """The `k` records of a group of largest cosine with `vector (d,)`, best first; of equal ones the oldest first.

        Raises:
            InputError: the vector is zero or not finite, or k < 1.
        """
        query = unit_rows([vector], where.dimension, ["the query"])[0]
        if where not in self._rows:
            return []
        found = nearest(*self._rows[where], query, k)
        return [
            (self.records[name], min(1.0, float(cosine)))
            for name, cosine in zip(found.ids, found.similarities, strict=True)
        ]


def _group_of(record: AdapterRecord) -> Group:
    origin = record.provenance
    return group(origin.model, origin.embedder, origin.recipe, len(record.vector))
