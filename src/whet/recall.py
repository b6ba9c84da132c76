"""Adapters of earlier queries: finding those that serve a query, merging them, and remembering new ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from whet.config import EngineConfig
from whet.errors import AdapterError, StoreError
from whet.memory import CachedAdapter, Memory, Provenance, compress_lora, merge_lora, merge_weights
from whet.models import LanguageModel
from whet.types import Example

if TYPE_CHECKING:
    import numpy as np

    from whet.adaptation import AdapterBank


@dataclass(frozen=True)
class Recalled:
    """What earlier queries have for this one.

    Attributes:
        bank: holds, in slot 0, the adapter that serves; None if there is none.
        warm: whether it is a start for training rather than an answer.
        nearest: the nearest of the adapters that it was made of.
        ancestors: ids of all examples that these learnt from.
        note: what the reader of the answer should know, such as a damaged adapter.
    """

    bank: AdapterBank | None = None
    warm: bool = False
    nearest: CachedAdapter | None = None
    ancestors: tuple[str, ...] = ()
    note: str | None = None


class Recall:
    """The adapters in a memory, as an engine with these settings may use them.

    Args:
        model: the base model.
        memory: whose adapters they are.
        config: says from which cosine on an adapter serves (`reuse`) or is trained on from (`warm`), and how many are
            merged (`merge`).
    """

    def __init__(self, model: LanguageModel, memory: Memory, config: EngineConfig) -> None:
        self.model = model
        self.memory = memory
        self.config = config

    def find(self, vector: np.ndarray, bank: AdapterBank) -> Recalled:
        """The adapter for a query with embedding `vector (d,)`, loaded; into `bank` unless several are merged."""
        found = self.memory.adapters.lookup(
            vector,
            model=self.model.fingerprint,
            embedder=self.memory.embedder.name,
            recipe=self.config.recipe(),
            hit=self.config.reuse,
            warm=self.config.warm,
            k=self.config.merge,
        )
        if found.kind == "none":
            return Recalled()
        warm = found.kind == "warm"
        several = found.neighbours[:1] if warm else found.neighbours
        try:
            loaded = self._loaded(several, bank)
        except AdapterError as error:  # damaged, or removed meanwhile: it is as if it were not there
            return Recalled(note=str(error))
        ancestors = tuple(id for one in several for id in one.provenance.example_ids)
        return Recalled(loaded, warm, found.nearest, ancestors)

    def remember(self, vector: np.ndarray, bank: AdapterBank, learnt: Sequence[Example], start: Recalled) -> str:
        """Store the adapter in slot 0 for the query with this embedding; returns its id.

        Raises:
            StoreError: it cannot be stored, or one of its examples was forgotten while it was trained.
        """
        settings, weights = bank.to_peft(0)
        ids = (*(start.ancestors if start.warm else ()), *(example.id for example in learnt))
        adapter_id = self.memory.adapters.add(
            {**settings, "base_model_name_or_path": self.model.name, "task_type": "CAUSAL_LM"},
            weights,
            vector=vector,
            provenance=Provenance(
                example_ids=ids,
                model=self.model.fingerprint,
                embedder=self.memory.embedder.name,
                seed=self.config.seed,
                recipe=self.config.recipe(),
            ),
        )
        gone = [id for id in ids if id not in self.memory]
        if gone:
            self.memory.adapters.forget(gone)
            raise StoreError(f"the example {gone[0]} was forgotten while an adapter learnt from it; it is not kept.")
        return adapter_id

    def _loaded(self, several: Sequence[CachedAdapter], bank: AdapterBank) -> AdapterBank:
        adapters = self.memory.adapters
        if len(several) == 1:
            bank.load_peft(0, *adapters.load(several[0].id))
            return bank
        weights = merge_weights([one.similarity for one in several], tau=0.0)
        settings, tensors = merge_lora([adapters.load(one.id) for one in several], weights)
        widest = min(shape[1] for shape in bank.bound.layout.shapes.values())  # no rank above it exists
        if settings["r"] > widest:
            settings, tensors, _ = compress_lora(settings, tensors, rank=widest)
        form = replace(self.config.lora, r=settings["r"], lora_alpha=settings["lora_alpha"], use_rslora=False)
        merged = type(bank)(self.model.module, form)
        merged.load_peft(0, settings, tensors)
        return merged
