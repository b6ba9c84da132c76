"""The adapter cache: whole adapters or none, the right ones found, all that learnt from an example forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from whet.errors import AdapterError, StoreError
from whet.memory import AdapterCache, Provenance

SETTINGS = {"peft_type": "LORA", "r": 2}
WEIGHTS = {"layer.lora_A.weight": torch.ones(2, 3)}


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def origin(*ids: str, model: str = "m", lr: float = 0.1) -> Provenance:
    return Provenance(example_ids=ids, model=model, embedder="hash", seed=0, recipe={"lr": lr, "layers": ["q", "v"]})


@pytest.fixture
def cache(tmp_path: Path) -> AdapterCache:
    return AdapterCache(tmp_path / "adapters")


def add(cache: AdapterCache, vector: np.ndarray, provenance: Provenance) -> str:
    return cache.add(SETTINGS, WEIGHTS, vector=vector, provenance=provenance)


def find(cache: AdapterCache, vector: np.ndarray, within: float = 0.9, model: str = "m", lr: float = 0.1):
    return cache.nearest(vector, model=model, recipe={"lr": lr, "layers": ["q", "v"]}, within=within)


def test_round_trip(cache: AdapterCache) -> None:
    adapter_id = add(cache, unit(1, 0), origin("a", "b", "a"))
    settings, weights = cache.load(adapter_id)
    assert settings == SETTINGS
    assert torch.equal(weights["layer.lora_A.weight"], WEIGHTS["layer.lora_A.weight"])
    found = find(AdapterCache(cache.folder), unit(1, 0))
    assert found is not None
    assert found.provenance == origin("a", "b", "a")
    assert found.similarity == pytest.approx(1.0)


def test_the_nearest_within_the_threshold(cache: AdapterCache) -> None:
    add(cache, unit(1, 0), origin("a"))
    near = add(cache, unit(1, 0.3), origin("b"))
    found = find(cache, unit(1, 0.4))
    assert found is not None
    assert found.id == near
    assert find(cache, unit(0, 1)) is None
    assert find(cache, unit(1, 0.4), within=0.9999) is None


def test_only_the_same_model_and_recipe(cache: AdapterCache) -> None:
    add(cache, unit(1, 0), origin("a"))
    assert find(cache, unit(1, 0), model="other") is None
    assert find(cache, unit(1, 0), lr=0.2) is None


def test_readers_see_what_another_adds_and_removes(cache: AdapterCache) -> None:
    reader = AdapterCache(cache.folder)
    assert len(reader) == 0
    add(cache, unit(1, 0), origin("a"))
    assert len(reader) == 1
    cache.forget(["a"])
    assert len(reader) == 0


def test_forget_removes_all_that_learnt_from_it(cache: AdapterCache) -> None:
    add(cache, unit(1, 0), origin("a", "b"))
    add(cache, unit(0, 1), origin("b"))
    kept = add(cache, unit(1, 1), origin("c"))
    (cache.folder / ".gone-0123").mkdir()
    assert cache.forget(["b", "never"]) == 2
    assert [path.name for path in cache.folder.iterdir()] == [kept]


def test_a_record_that_cannot_be_read_is_named(cache: AdapterCache) -> None:
    adapter_id = add(cache, unit(1, 0), origin("a"))
    (cache.folder / adapter_id / "whet.json").write_text("{")
    with pytest.raises(AdapterError, match=f"{adapter_id}.*Remove that folder"):
        len(AdapterCache(cache.folder))


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="could not be written"):
        add(AdapterCache(tmp_path / "file"), unit(1, 0), origin("a"))


def test_a_full_disk_leaves_nothing(cache: AdapterCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(StoreError, match="No space left"):
        add(cache, unit(1, 0), origin("a"))
    assert list(cache.folder.iterdir()) == []
