"""Adapters made so far: one PEFT folder each, with the query's embedding and where the adapter came from.

    adapters/ID/adapter_config.json          settings, as PEFT writes them
    adapters/ID/adapter_model.safetensors    the matrices, under PEFT's names
    adapters/ID/whet.json                    provenance, and the embedding of the query it was made for

A folder is written under a hidden name and then renamed, so that a reader sees a whole adapter or none.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.errors import AdapterError, StoreError

if TYPE_CHECKING:
    from torch import Tensor

_SETTINGS, _WEIGHTS, _RECORD = "adapter_config.json", "adapter_model.safetensors", "whet.json"


@dataclass(frozen=True)
class Provenance:
    """Where an adapter came from.

    Attributes:
        example_ids: what it was trained on, in order, with repeats.
        model: fingerprint of the base model that it belongs to.
        embedder: name of the embedder that made the query's vector.
        seed: seed of its first weights.
        recipe: how it was made (selector, shape, training), as plain values; only an equal recipe is reused.
    """

    example_ids: tuple[str, ...]
    model: str
    embedder: str
    seed: int
    recipe: Mapping[str, Any]


@dataclass(frozen=True)
class CachedAdapter:
    """An adapter in the cache: its id, provenance, and how near the query asked for is to the one it was made for."""

    id: str
    provenance: Provenance
    similarity: float


class AdapterCache:
    """The adapters under one folder.

    Args:
        folder: made on the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records: dict[str, tuple[Provenance, np.ndarray]] = {}

    def __len__(self) -> int:
        self._refresh()
        return len(self._records)

    def add(
        self,
        settings: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        *,
        vector: np.ndarray,
        provenance: Provenance,
    ) -> str:
        """Store an adapter for the query with embedding `vector (d,)`; returns its id.

        Raises:
            StoreError: the disk is full or cannot be written; nothing is left behind.
        """
        from safetensors.torch import save_file

        adapter_id = uuid.uuid4().hex[:16]
        record = {"provenance": asdict(provenance), "vector": [float(v) for v in vector]}
        draft = self.folder / f".{adapter_id}"
        try:
            draft.mkdir(parents=True)
            (draft / _SETTINGS).write_text(json.dumps(settings, indent=2))
            (draft / _RECORD).write_text(json.dumps(record))
            save_file(dict(weights), draft / _WEIGHTS)
            draft.rename(self.folder / adapter_id)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            raise StoreError(
                f"the adapter could not be written to {self.folder}: {error.strerror}. "
                "Free some space there, or turn the cache off."
            ) from error
        return adapter_id

    def nearest(
        self, vector: np.ndarray, *, model: str, recipe: Mapping[str, Any], within: float
    ) -> CachedAdapter | None:
        """The adapter made for the query nearest to `vector (d,)`, if their cosine is at least `within`.

        Only adapters of the same base model (fingerprint) and made by an equal recipe count.
        """
        self._refresh()
        best: CachedAdapter | None = None
        for adapter_id, (provenance, other) in sorted(self._records.items()):
            if provenance.model != model or dict(provenance.recipe) != dict(recipe) or other.shape != vector.shape:
                continue
            cosine = float(vector @ other / (np.linalg.norm(vector) * np.linalg.norm(other)))
            if cosine >= within and (best is None or cosine > best.similarity):
                best = CachedAdapter(adapter_id, provenance, cosine)
        return best

    def load(self, adapter_id: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings and tensors of an adapter, as PEFT names them.

        Raises:
            AdapterError: there is no such adapter, or its files are damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = self.folder / adapter_id
        try:
            return json.loads((folder / _SETTINGS).read_text()), load_file(folder / _WEIGHTS)
        except (OSError, ValueError, SafetensorError) as error:
            raise AdapterError(
                f"the adapter {adapter_id} in {self.folder} cannot be read: {error}. Remove that folder; "
                "the next query like it trains a new one."
            ) from error

    def forget(self, example_ids: Collection[str]) -> int:
        """Remove every adapter that was trained on one of these examples; returns how many there were."""
        self._refresh()
        gone = set(example_ids)
        doomed = [name for name, (provenance, _) in self._records.items() if gone & set(provenance.example_ids)]
        for name in doomed:
            self._remove(name)
        for left in self.folder.glob(".gone-*"):  # by a process that was killed in between
            shutil.rmtree(left)
        return len(doomed)

    def _remove(self, adapter_id: str) -> None:
        # renamed first, so that no reader meets a folder that is half gone
        hidden = self.folder / f".gone-{adapter_id}"
        (self.folder / adapter_id).replace(hidden)
        shutil.rmtree(hidden)
        self._records.pop(adapter_id, None)

    def _refresh(self) -> None:
        """Read the records that appeared since the last look, and drop those that are gone."""
        there = {p.name for p in self.folder.iterdir() if p.name[0] != "."} if self.folder.is_dir() else set()
        for name in self._records.keys() - there:
            del self._records[name]
        for name in there - self._records.keys():
            try:
                record = json.loads((self.folder / name / _RECORD).read_text())
                raw = record["provenance"]
                provenance = Provenance(**{**raw, "example_ids": tuple(raw["example_ids"])})
                self._records[name] = (provenance, np.asarray(record["vector"], dtype=np.float32))
            except FileNotFoundError:  # removed by another process since it was listed
                continue
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise AdapterError(
                    f"the adapter {name} in {self.folder} cannot be read: {error}. Remove that folder and go on."
                ) from error
