"""Damaged and foreign files in the adapter cache: told, never used, and no harm to the others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from whet.errors import AdapterError
from whet.memory import AdapterCache, Provenance

FILES = ("adapter_config.json", "adapter_model.safetensors", "whet.json")
NEAR = np.array([1.0, 0.0])
SETTINGS = {"peft_type": "LORA", "r": 2}


@pytest.fixture
def cache(tmp_path: Path) -> AdapterCache:
    return AdapterCache(tmp_path / "adapters")


def add(cache: AdapterCache, example: str = "a", model: str = "m") -> str:
    provenance = Provenance((example,), model, "hash", 0, {"lr": 0.1})
    weights = {"layer.lora_A.weight": torch.ones(2, 3)}
    return cache.add(SETTINGS, weights, vector=NEAR, provenance=provenance)


def found(cache: AdapterCache) -> set[str]:
    looked_up = cache.lookup(NEAR, model="m", embedder="hash", recipe={"lr": 0.1}, hit=0.9, warm=0.5)
    return {adapter.id for adapter in looked_up.neighbours}


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= 0x10
    file.write_bytes(content)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("known_before", [True, False])
def test_a_flipped_byte_anywhere_is_found(cache: AdapterCache, file: str, known_before: bool) -> None:
    size = (cache.folder / add(cache) / file).stat().st_size
    for place in np.linspace(0, size - 1, 12).astype(int):
        whole, damaged = add(cache), add(cache)
        reading = cache if known_before else AdapterCache(cache.folder)
        if known_before:
            assert damaged in found(cache)
        flip(cache.folder / damaged / file, int(place))
        with pytest.raises(AdapterError, match=f"no adapter|{damaged}.*is damaged.*Remove that folder"):
            reading.load(damaged)
        assert whole in found(reading)
        assert damaged not in found(reading)
        assert damaged in {name.removesuffix(".damaged") for name in reading.damaged}
        reading.load(whole)


def test_what_is_found_damaged_is_set_aside_for_all_processes(cache: AdapterCache) -> None:
    adapter_id, other = add(cache), AdapterCache(cache.folder)
    assert found(other) == {adapter_id}
    (cache.folder / adapter_id / "adapter_model.safetensors").unlink()
    with pytest.raises(AdapterError, match="safetensors is missing"):
        cache.load(adapter_id)
    assert cache.damaged == {f"{adapter_id}.damaged": "adapter_model.safetensors is missing"}
    assert found(other) == set()
    assert set(other.damaged) == {f"{adapter_id}.damaged"}


def test_a_damaged_one_that_cannot_be_renamed_is_not_found_again(
    cache: AdapterCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    adapter_id = add(cache)
    flip(cache.folder / adapter_id / "adapter_model.safetensors", -1)
    monkeypatch.setattr(Path, "rename", denied)
    with pytest.raises(AdapterError, match="checksum"):
        cache.load(adapter_id)
    assert found(cache) == set()
    assert set(cache.damaged) == {adapter_id}


def test_what_cannot_be_read_for_a_moment_is_not_set_aside(
    cache: AdapterCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Path) -> bytes:
        raise OSError(5, "Input/output error")

    adapter_id = add(cache)
    assert found(cache) == {adapter_id}
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", fails)
        with pytest.raises(AdapterError, match="cannot be read: Input/output error"):
            cache.load(adapter_id)
    assert cache.load(adapter_id)[0] == SETTINGS


def test_foreign_files_and_folders_are_told_and_left(cache: AdapterCache) -> None:
    adapter_id = add(cache)
    (cache.folder / "notes.txt").write_text("mine")
    (cache.folder / "from-elsewhere").mkdir()
    assert found(cache) == {adapter_id}
    assert len(cache) == 1
    assert cache.damaged == {"notes.txt": "it is a file, not a folder", "from-elsewhere": "whet.json is missing"}
    cache.forget(["a"])
    cache.prune(model="m")
    assert {path.name for path in cache.folder.iterdir()} == {"notes.txt", "from-elsewhere"}


def test_a_record_without_checksums_is_not_used(cache: AdapterCache) -> None:
    record = cache.folder / add(cache) / "whet.json"
    written = json.loads(record.read_text())
    record.write_text(json.dumps({"provenance": written["provenance"], "vector": [1.0, 0.0]}))
    assert found(cache) == set()
    assert "format 1" in next(iter(cache.damaged.values()))


@pytest.mark.parametrize("file", FILES)
def test_forget_also_removes_what_can_no_longer_say_what_it_learnt_from(cache: AdapterCache, file: str) -> None:
    damaged, kept = add(cache, "a"), add(cache, "b")
    flip(cache.folder / damaged / file, 40)
    with pytest.raises(AdapterError):
        cache.load(damaged)
    assert cache.forget(["unrelated"]) == 0
    assert {path.name for path in cache.folder.iterdir()} == {kept}
    assert cache.damaged == {}


def test_prune_also_removes_damaged_ones(cache: AdapterCache) -> None:
    kept, damaged = add(cache), add(cache)
    add(cache, model="old")
    (cache.folder / damaged / "whet.json").write_text("{")
    assert cache.prune(model="m") == 2
    assert {path.name for path in cache.folder.iterdir()} == {kept}
