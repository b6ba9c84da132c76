"""Forgetting: examples and adapters go together, or nothing goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import HashEmbedder

from whet.errors import InputError, StoreError
from whet.memory import Memory
from whet.memory.adapters import Provenance
from whet.memory.forgetting import Forgotten, forget
from whet.types import Example

_A, _B, _C = Example("one text"), Example("another text"), Example("a third text")


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """Three examples, and an adapter trained on each of: A; A and B; B; C."""
    memory = Memory.create(tmp_path / "m", embedder=HashEmbedder())
    memory.add([_A, _B, _C])
    for trained_on in ((_A,), (_A, _B), (_B,), (_C,)):
        ids = tuple(example.id for example in trained_on)
        provenance = Provenance(example_ids=ids, model="m", embedder="hash", seed=0, recipe={})
        memory.adapters.add({}, {"w": torch.zeros(1)}, vector=np.ones(2, np.float32), provenance=provenance)
    return memory


def test_adapters_trained_on_a_forgotten_example_go_with_it(memory: Memory) -> None:
    assert forget(memory, [_A.id]) == Forgotten(examples=1, adapters=2)
    assert {example.id for example in memory} == {_B.id, _C.id}
    assert len(memory.adapters) == 2


def test_an_unknown_id_is_named_and_nothing_is_removed(memory: Memory) -> None:
    with pytest.raises(InputError, match="no example nobody, no-one; nothing was removed"):
        forget(memory, [_A.id, "nobody", "no-one"])
    assert len(memory) == 3
    assert len(memory.adapters) == 4


def test_stopped_halfway_it_can_be_done_again(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(memory, "remove", fail)
        with pytest.raises(StoreError):
            forget(memory, [_A.id])
    assert forget(memory, [_A.id]).examples == 1
    assert len(memory.adapters) == 2
