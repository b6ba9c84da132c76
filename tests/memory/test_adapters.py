"""The adapter cache: whole adapters or none, the right ones found, all that learnt from an example forgotten."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_clock import FakeClock

from whet.errors import AdapterError, InputError, StoreError
from whet.memory import AdapterCache, AdapterRecord, Lookup, Provenance

SETTINGS = {"peft_type": "LORA", "r": 2}
WEIGHTS = {"layer.lora_A.weight": torch.ones(2, 3)}
RECIPE = {"lr": 0.1, "layers": ["q", "v"]}


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def origin(*ids: str, model: str = "m", embedder: str = "hash", lr: float = 0.1) -> Provenance:
    return Provenance(example_ids=ids, model=model, embedder=embedder, seed=0, recipe={**RECIPE, "lr": lr})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(tmp_path: Path, clock: FakeClock) -> AdapterCache:
    return AdapterCache(tmp_path / "adapters", clock=clock)


def add(cache: AdapterCache, vector: np.ndarray, provenance: Provenance) -> str:
    return cache.add(SETTINGS, WEIGHTS, vector=vector, provenance=provenance)


def look(cache: AdapterCache, vector: np.ndarray, hit: float | None = 0.9, warm: float | None = 0.5, **other) -> Lookup:
    wanted = {"model": "m", "embedder": "hash", "recipe": RECIPE, **other}
    return cache.lookup(vector, hit=hit, warm=warm, **wanted)


def names(cache: AdapterCache) -> set[str]:
    return {path.name for path in cache.folder.iterdir()}


def test_round_trip(cache: AdapterCache) -> None:
    adapter_id = add(cache, unit(1, 0), origin("a", "b", "a"))
    settings, weights = cache.load(adapter_id)
    assert settings == SETTINGS
    assert torch.equal(weights["layer.lora_A.weight"], WEIGHTS["layer.lora_A.weight"])
    found = look(AdapterCache(cache.folder), unit(1, 0)).nearest
    assert found is not None
    assert found.id == adapter_id
    assert found.provenance == origin("a", "b", "a")
    assert found.similarity == pytest.approx(1.0)


def test_near_is_a_hit_less_near_a_warm_start_and_far_is_nothing(cache: AdapterCache) -> None:
    assert look(cache, unit(1, 0)) == Lookup("none", ())
    assert look(cache, unit(1, 0)).nearest is None
    near = add(cache, unit(1, 0.3), origin("a"))
    far = add(cache, unit(0, 1), origin("b"))
    for query, kind in ((unit(1, 0.4), "hit"), (unit(1, -0.7), "warm"), (unit(1, -3), "none")):
        found = look(cache, query)
        assert found.kind == kind
        assert [adapter.id for adapter in found.neighbours] == [near, far]
        assert found.nearest == found.neighbours[0]
    assert look(cache, unit(1, 0.4), hit=None).kind == "warm"
    assert look(cache, unit(1, 0.4), hit=None, warm=None).kind == "none"
    assert len(look(cache, unit(1, 0.4), k=1).neighbours) == 1


@pytest.mark.parametrize("dimension", [2, 32, 384])
def test_an_equal_query_is_a_hit_at_threshold_one(cache: AdapterCache, dimension: int) -> None:
    vectors = np.random.default_rng(dimension).normal(size=(20, dimension)).astype(np.float32)
    for vector in vectors:
        add(cache, vector, origin("a"))
    assert all(look(cache, 3 * vector, hit=1.0).kind == "hit" for vector in vectors)
    assert look(cache, vectors[0] + 0.01 * vectors[1], hit=1.0).kind == "warm"


def test_lookup_is_that_of_a_loop_over_all_adapters_whatever_came_and_went(cache: AdapterCache) -> None:
    rng = np.random.default_rng(0)
    reader = AdapterCache(cache.folder)
    there: dict[str, tuple[np.ndarray, Provenance]] = {}
    for step in range(40):
        vector = rng.normal(size=int(rng.choice([3, 5])))
        made = origin(f"e{step}", model=str(rng.choice(["m", "n"])), lr=float(rng.choice([0.1, 0.2])))
        there[add(cache, vector, made)] = (vector, made)
        if step % 3 == 2:
            gone = f"e{rng.integers(step)}"
            there = {name: kept for name, kept in there.items() if gone not in kept[1].example_ids}
            cache.forget([gone])
        query = rng.normal(size=3)
        cosines = {
            name: float(query @ other / np.linalg.norm(query) / np.linalg.norm(other))
            for name, (other, provenance) in there.items()
            if provenance.model == "m" and provenance.recipe == RECIPE and len(other) == 3
        }
        expected = sorted(cosines, key=lambda name: -cosines[name])[:4]
        for reading in (cache, reader):
            found = look(reading, query, k=4).neighbours
            assert [adapter.id for adapter in found] == expected
            assert [adapter.similarity for adapter in found] == pytest.approx([cosines[n] for n in expected], abs=1e-6)


def test_only_the_same_model_embedder_and_recipe_count(cache: AdapterCache) -> None:
    add(cache, unit(1, 0), origin("a"))
    assert look(cache, unit(1, 0), model="other").neighbours == ()
    assert look(cache, unit(1, 0), embedder="other").neighbours == ()
    assert look(cache, unit(1, 0), recipe={**RECIPE, "lr": 0.2}).neighbours == ()
    assert look(cache, unit(1, 0, 0)).neighbours == ()
    assert look(cache, unit(1, 0), recipe={"layers": ("q", "v"), "lr": 0.1}).kind == "hit"


@pytest.mark.parametrize("vector", [[0.0, 0.0], [np.nan, 1.0], [[1.0, 0.0]], [1e300, 0.0]])
def test_what_is_no_embedding_is_refused(cache: AdapterCache, vector: list) -> None:
    with pytest.raises(InputError, match="vector"):
        add(cache, np.array(vector), origin("a"))
    assert not cache.folder.exists()


def test_bad_arguments_are_refused(cache: AdapterCache) -> None:
    with pytest.raises(InputError, match=r"warm=0.9 is above hit=0.5"):
        look(cache, unit(1, 0), hit=0.5, warm=0.9)
    with pytest.raises(InputError, match="zero"):
        look(cache, np.zeros(2))
    with pytest.raises(InputError, match="JSON"):
        add(cache, unit(1, 0), Provenance(("a",), "m", "hash", 0, {"lr": object()}))
    with pytest.raises(InputError, match="JSON"):
        cache.add({"target_modules": {"q"}}, WEIGHTS, vector=unit(1, 0), provenance=origin("a"))
    with pytest.raises(InputError, match="limit_bytes=0"):
        AdapterCache(cache.folder, 0)
    with pytest.raises(InputError, match="not one string"):
        cache.forget("a")
    with pytest.raises(AdapterError, match="no adapter"):
        cache.load("..")


def test_records_tell_age_hits_and_size(cache: AdapterCache, clock: FakeClock) -> None:
    first = add(cache, unit(1, 0), origin("a"))
    clock.sleep(10)
    second = add(cache, np.array([0.0, 2.0]), origin("b"))
    clock.sleep(5)
    cache.load(first)
    clock.sleep(5)
    AdapterCache(cache.folder, clock=clock).load(first)
    for reading in (cache, AdapterCache(cache.folder)):
        records = list(reading)
        assert [(r.id, r.created, r.last_used, r.hits) for r in records] == [
            (first, 100.0, 120.0, 2),
            (second, 110.0, 110.0, 0),
        ]
        assert records[1].provenance == origin("b")
        np.testing.assert_array_equal(records[1].vector, [0, 2])
    for record in AdapterCache(cache.folder):
        assert record.size == sum(file.stat().st_size for file in (cache.folder / record.id).iterdir())


def test_readers_see_what_another_adds_and_removes(cache: AdapterCache) -> None:
    reader = AdapterCache(cache.folder)
    assert len(reader) == 0
    add(cache, unit(1, 0), origin("a"))
    assert len(reader) == 1
    found = look(reader, unit(1, 0)).nearest
    cache.forget(["a"])
    assert len(reader) == 0
    with pytest.raises(AdapterError, match="may have been removed"):
        reader.load(found.id)


def test_forget_removes_all_that_learnt_from_it(cache: AdapterCache) -> None:
    add(cache, unit(1, 0), origin("a", "b"))
    add(cache, unit(0, 1), origin("b"))
    kept = add(cache, unit(1, 1), origin("c"))
    (cache.folder / ".gone-0123").mkdir()
    assert cache.forget(["b", "never"]) == 2
    assert names(cache) == {kept}
    assert cache.forget(["b"]) == 0


def test_what_is_forgotten_can_be_trained_again(cache: AdapterCache) -> None:
    add(cache, unit(1, 0), origin("a", "b"))
    add(cache, unit(0, 1), origin("c"))
    to_train: list[AdapterRecord] = cache.trained_on(["b"])
    cache.forget(["b"])
    assert [record.provenance for record in to_train] == [origin("a", "b")]
    np.testing.assert_array_equal(to_train[0].vector, [1, 0])


def test_prune_keeps_one_base_model(cache: AdapterCache) -> None:
    add(cache, unit(1, 0), origin("a", model="old"))
    kept = add(cache, unit(1, 0), origin("a"))
    assert cache.prune(model="m") == 1
    assert names(cache) == {kept}
    assert look(cache, unit(1, 0)).nearest.id == kept


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="could not be written"):
        add(AdapterCache(tmp_path / "file"), unit(1, 0), origin("a"))


@pytest.mark.parametrize("files", range(4))
def test_a_full_disk_leaves_nothing(cache: AdapterCache, monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    write, written = Path.write_bytes, []

    def fills_up(path: Path, content: bytes) -> int:
        if len(written) == files:
            raise OSError(28, "No space left on device")
        written.append(path)
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fills_up)
    with pytest.raises(StoreError, match="No space left"):
        add(cache, unit(1, 0), origin("a"))
    assert names(cache) == set()


def test_old_drafts_are_swept_and_new_ones_left_alone(cache: AdapterCache, clock: FakeClock) -> None:
    for name, age in ((".draft-old", 3601.0), (".draft-new", 10.0)):
        (cache.folder / name).mkdir(parents=True)
        os.utime(cache.folder / name, (clock.now - age, clock.now - age))
    (cache.folder / ".gone-killed").mkdir()
    adapter_id = add(cache, unit(1, 0), origin("a"))
    assert names(cache) == {".draft-new", adapter_id}
    assert len(cache) == 1


def test_a_draft_that_learnt_from_a_forgotten_example_is_removed(cache: AdapterCache) -> None:
    for example in ("a", "b"):
        made = cache.folder / add(cache, unit(1, 0), origin(example))
        made.rename(cache.folder / f".draft-{example}")
    assert cache.forget(["a"]) == 1
    assert names(cache) == {".draft-b"}


def test_an_adapter_forgotten_while_it_is_written_is_gone(cache: AdapterCache, monkeypatch: pytest.MonkeyPatch) -> None:
    other, rename = AdapterCache(cache.folder), Path.rename

    def forgotten_first(path: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        other.forget(["a"])
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", forgotten_first)
    add(cache, unit(1, 0), origin("a"))
    assert names(cache) == set()


def test_a_draft_published_just_before_it_is_removed_is_forgotten_too(
    cache: AdapterCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cache.folder / add(cache, unit(1, 0), origin("a"))
    made.rename(cache.folder / f".draft-{made.name}")
    replace = Path.replace

    def published_first(path: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        path.rename(made)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", published_first)
    assert cache.forget(["a"]) == 1
    assert names(cache) == set()
