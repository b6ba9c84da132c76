"""The adapter cache: adapters made so far, found again by the query that they were made for."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from whet.errors import AdapterError, InputError, StoreError
from whet.memory import adapter_folder
from whet.memory.adapter_index import AdapterIndex, group
from whet.memory.adapter_records import AdapterRecord, Damage, Provenance
from whet.memory.adapter_store import SET_ASIDE, AdapterStore
from whet.memory.base import Vectors

if TYPE_CHECKING:
    from torch import Tensor

_ROUNDING = 1e-6
"""Of a cosine in float32, with a margin: a threshold of 1 is reached by an equal vector."""


@dataclass(frozen=True)
class CachedAdapter:
    """An adapter in the cache: its id, provenance, and how near the query asked for is to the one it was made for."""

    id: str
    provenance: Provenance
    similarity: float


@dataclass(frozen=True)
class Lookup:
    """What the cache has for a query.

    Attributes:
        kind: `hit`, the nearest adapter serves as it is; `warm`, training may start from it; `none`, it is too far.
        neighbours: the nearest adapters, best first, whatever the kind; `merge_weights` and `merge_lora` merge them.
    """

    kind: Literal["hit", "warm", "none"]
    neighbours: tuple[CachedAdapter, ...]

    @property
    def nearest(self) -> CachedAdapter | None:
        """The first of the neighbours, if there are any."""
        return self.neighbours[0] if self.neighbours else None


class AdapterCache:
    """The adapters under one folder; any number of processes may use it at once, each with an object of its own.

    Iterating gives their records, oldest first. A damaged adapter harms no other: see `damaged`.

    Args:
        folder: made on the first write.
        limit_bytes: the most that all adapters may take on disk; None sets no limit. When one is added beyond it, those
            that were not used for longest are removed: queries come in sessions, and the time of one file tells. Two
            processes that add at once may pass the limit until one of them adds again.
        clock: seconds since 1970.

    Raises:
        InputError: the limit is below 1.
    """

    def __init__(self, folder: Path, limit_bytes: int | None = None, *, clock: Callable[[], float] = time.time) -> None:
        if limit_bytes is not None and limit_bytes < 1:
            raise InputError(f"limit_bytes={limit_bytes}: give at least 1, or None for no limit.")
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._clock = clock
        self._store = AdapterStore(folder)
        self._index = AdapterIndex()
        self._damaged: dict[str, str] = {}
        self._seen: set[str] = set()

    def __len__(self) -> int:
        self._refresh()
        return len(self._index.records)

    def __iter__(self) -> Iterator[AdapterRecord]:
        self._refresh()
        for record in sorted(self._index.records.values(), key=lambda record: (record.created, record.id)):
            try:
                hits, last_used = adapter_folder.usage(self.folder / record.id)
            except (Damage, OSError):  # removed meanwhile, or nobody can say
                hits, last_used = record.hits, record.last_used
            yield replace(record, hits=hits, last_used=last_used)

    @property
    def damaged(self) -> dict[str, str]:
        """What is in the folder and is no adapter, or a damaged one: why, by name. None of it is ever looked up."""
        self._refresh()
        return dict(self._damaged)

    def add(
        self,
        settings: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        *,
        vector: Vectors,
        provenance: Provenance,
    ) -> str:
        """Store an adapter for the query with embedding `vector (d,)`; returns its id.

        A process that forgets one of its examples meanwhile removes it, as it would a moment later.

        Raises:
            InputError: the vector is zero or not finite, or the provenance holds more than plain values.
            StoreError: the adapter is larger than the limit, or the disk is full or cannot be written; nothing is left
                behind.
        """
        created = self._clock()
        content = adapter_folder.pack(settings, weights, vector, provenance, created)
        size = sum(map(len, content.values()))
        if self.limit_bytes is not None and size > self.limit_bytes:
            raise StoreError(
                f"the adapter takes {size:,} bytes and the cache {self.folder} is limited to {self.limit_bytes:,}; "
                "raise limit_bytes, or make adapters of a lower rank."
            )
        adapter_id = self._store.publish(content, created)
        self._store.sweep(created)
        if self.limit_bytes is not None:
            self._evict(self.limit_bytes, keep=adapter_id)
        return adapter_id

    def lookup(
        self,
        vector: Vectors,
        *,
        model: str,
        embedder: str,
        recipe: Mapping[str, Any],
        hit: float | None,
        warm: float | None,
        k: int = 50,
    ) -> Lookup:
        """What there is for a query; only adapters of the same model and embedder, made by an equal recipe, count.

        Args:
            vector: embedding `(d,)` of the query, of any norm.
            model: fingerprint of the base model.
            embedder: name of the embedder.
            recipe: as in `Provenance`; equal if JSON writes both alike.
            hit: cosine from which on an adapter serves as it is; None: never. `calibrate_thresholds` finds it.
            warm: cosine from which on training may start from an adapter; None: never.
            k: how many neighbours to name.

        Raises:
            InputError: the vector is zero or not finite, k < 1, or `warm` is above `hit`.
        """
        if hit is not None and warm is not None and warm > hit:
            raise InputError(f"warm={warm} is above hit={hit}: what serves as it is can be trained from, so lower it.")
        self._refresh()
        found = self._index.nearest(group(model, embedder, recipe, len(vector)), vector, k)
        neighbours = tuple(CachedAdapter(record.id, record.provenance, cosine) for record, cosine in found)
        if _reaches(neighbours, hit):
            return Lookup("hit", neighbours)
        return Lookup("warm" if _reaches(neighbours, warm) else "none", neighbours)

    def load(self, adapter_id: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings and tensors of an adapter, as PEFT names them; counts as a hit.

        Raises:
            AdapterError: there is no such adapter (any more), or its files are damaged, and it was set aside.
        """
        self._refresh()
        try:
            if adapter_id not in self._index.records:
                raise FileNotFoundError(adapter_id)
            content = adapter_folder.read_adapter(self.folder / adapter_id)
        except FileNotFoundError:
            raise AdapterError(
                f"there is no adapter {adapter_id!r} in {self.folder}; it may have been removed since it was found. "
                "Look the query up again, or train a new one."
            ) from None
        except Damage as damage:
            self._set_aside(adapter_id, str(damage))
            raise AdapterError(
                f"the adapter {adapter_id} in {self.folder} is damaged: {damage}. It is set aside and not looked up "
                "again. Remove that folder; the next query like it trains a new one."
            ) from damage
        except OSError as error:
            raise AdapterError(
                f"the adapter {adapter_id} in {self.folder} cannot be read: {error.strerror}. Make it readable, or "
                "remove that folder; the next query like it trains a new one."
            ) from error
        adapter_folder.count_hit(self.folder / adapter_id, self._clock())
        return content

    def trained_on(self, example_ids: Collection[str]) -> list[AdapterRecord]:
        """The adapters that were trained on one of these examples.

        Their records say what to train again, without that example, once `forget` has removed them.

        Raises:
            InputError: the ids are one string.
        """
        gone = _id_set(example_ids)
        return [record for record in self if not gone.isdisjoint(record.provenance.example_ids)]

    def forget(self, example_ids: Collection[str]) -> int:
        """Remove every adapter that was trained on one of these examples; returns how many there were.

        Damaged ones go too, uncounted: nobody can say what they learnt from. What whet did not write stays.

        Raises:
            InputError: the ids are one string.
            StoreError: one of them cannot be removed.
        """
        gone = _id_set(example_ids)
        removed = 0
        # what was a draft at one look may be an adapter when it is to be removed; then the next look finds it
        while doomed := self._trained_on_or_about_to_be(gone):
            removed += sum(self._store.remove(name) for name in doomed)
        self._remove_damaged()
        self._store.sweep(self._clock())
        return removed

    def prune(self, *, model: str) -> int:
        """Remove every adapter of another base model than the one with this fingerprint, and damaged ones; how many.

        Raises:
            StoreError: one of them cannot be removed.
        """
        removed = sum(self._store.remove(record.id) for record in self if record.provenance.model != model)
        self._store.sweep(self._clock())
        return removed + self._remove_damaged()

    def _trained_on_or_about_to_be(self, example_ids: set[str]) -> list[str]:
        drafts = [draft for draft in self._store.drafts() if not example_ids.isdisjoint(draft.provenance.example_ids)]
        return [record.id for record in [*drafts, *self.trained_on(example_ids)]]

    def _remove_damaged(self) -> int:
        self._damaged, self._seen = {}, set()  # so that what could not be read for a moment is read again
        return sum(self._store.remove(name) for name in self.damaged if self._store.written_here(name))

    def _set_aside(self, adapter_id: str, reason: str) -> None:
        name = self._store.set_aside(adapter_id) or adapter_id
        self._damaged[name] = reason
        self._index.remove([adapter_id])

    def _evict(self, limit: int, *, keep: str) -> None:
        """Remove those that were not used for longest until the others take no more than the limit."""
        oldest_use_first = sorted(self, key=lambda record: record.last_used)
        excess = sum(record.size for record in oldest_use_first) - limit
        for record in oldest_use_first:
            if excess > 0 and record.id != keep:
                self._store.remove(record.id)
                excess -= record.size

    def _refresh(self) -> None:
        """Read the records that appeared since the last look, and drop those that are gone; names are never reused."""
        there = self._store.names()
        if there == self._seen:
            return
        self._index.remove(self._index.records.keys() - there)
        for name in self._damaged.keys() - there:
            del self._damaged[name]
        new = []
        for name in there - self._index.records.keys() - self._damaged.keys():
            if name.endswith(SET_ASIDE):
                self._damaged[name] = "it was found damaged when it was loaded"
                continue
            try:
                new.append(adapter_folder.read_record(self.folder / name))
            except FileNotFoundError:  # removed by another process since it was listed
                continue
            except (Damage, OSError) as error:
                self._damaged[name] = str(error)
        self._index.add(new)
        self._seen = there


def _reaches(neighbours: tuple[CachedAdapter, ...], threshold: float | None) -> bool:
    return threshold is not None and bool(neighbours) and neighbours[0].similarity >= threshold - _ROUNDING


def _id_set(ids: Collection[str]) -> set[str]:
    if isinstance(ids, str):
        raise InputError(f"ids must be a list of ids, not one string; pass [{ids!r}].")
    return set(ids)
