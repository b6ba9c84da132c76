"""The byte limit of the adapter cache: what is evicted, and what never is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fake_clock import FakeClock

from whet.errors import StoreError
from whet.memory import AdapterCache, Provenance


def add(cache: AdapterCache) -> str:
    provenance = Provenance(("a",), "m", "hash", 0, {"lr": 0.1})
    weights = {"layer.lora_A.weight": torch.ones(2, 3)}
    return cache.add({"peft_type": "LORA", "r": 2}, weights, vector=np.array([1.0, 0.0]), provenance=provenance)


def names(cache: AdapterCache) -> set[str]:
    return {path.name for path in cache.folder.iterdir()}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def one_adapter_bytes(folder: Path) -> int:
    cache = AdapterCache(folder)
    add(cache)
    return next(iter(cache)).size


def test_the_least_recently_used_are_evicted(tmp_path: Path, clock: FakeClock) -> None:
    size = one_adapter_bytes(tmp_path / "measured")
    cache = AdapterCache(tmp_path / "adapters", 3 * size + 10, clock=clock)  # created takes some digits more or less
    ids = []
    for _ in range(3):
        ids.append(add(cache))
        clock.sleep(1)
    cache.load(ids[0])
    clock.sleep(1)
    ids.append(add(cache))
    assert names(cache) == {ids[0], ids[2], ids[3]}
    for _ in range(4):
        clock.sleep(1)
        ids.append(add(cache))
        assert sum(record.size for record in cache) <= cache.limit_bytes
    assert names(cache) == set(ids[-3:])


def test_the_one_just_added_is_never_evicted(tmp_path: Path, clock: FakeClock) -> None:
    size = one_adapter_bytes(tmp_path / "measured")
    cache = AdapterCache(tmp_path / "adapters", size + 10, clock=clock)
    add(cache)
    clock.sleep(-50)
    last = add(cache)
    assert names(cache) == {last}


def test_an_adapter_larger_than_the_limit_is_refused_and_evicts_nothing(tmp_path: Path) -> None:
    cache = AdapterCache(tmp_path / "adapters")
    kept = add(cache)
    limited = AdapterCache(cache.folder, 100)
    with pytest.raises(StoreError, match=r"limited to 100; raise limit_bytes"):
        add(limited)
    assert names(cache) == {kept}
