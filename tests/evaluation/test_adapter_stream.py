"""The pure parts of benchmarks/adapter_stream.py, and its simulated cache against the engine with a real one."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import HashEmbedder

from whet.adaptation import LoraConfig, TrainConfig
from whet.config import EngineConfig
from whet.engine import Engine
from whet.memory import AdapterCache, Memory, Provenance
from whet.memory.base import unit_rows
from whet.models import LanguageModel
from whet.types import Example

pytest.importorskip("matplotlib")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from adapter_stream_lab import Lab, Log
from adapter_stream_policy import pairs_at_distances, simulate
from adapter_stream_queries import SHORTEST, Ask, make_stream

WORDS = ("cat", "dog", "bird", "fish", "horse", "mat", "door", "tree", "sea", "sat", "ran", "on", "the", "to", "saw")


def prose(seed: int, words: int) -> str:
    rng = np.random.default_rng(seed)
    return "".join(
        f"{WORDS[i]}{'. ' if end else ' '}"
        for i, end in zip(rng.integers(15, size=words), rng.random(words) < 0.1, strict=True)
    )


def records() -> list[Example]:
    """Two domains of long documents in two chunks each, and one of short documents."""
    found = []
    for domain, documents, words in (("animals", 3, 900), ("places", 2, 900), ("short", 9, 100)):
        for number in range(documents):
            text = prose(100 * len(domain) + number, words)
            cut = len(text) // 2
            for chunk, part in enumerate((text[:cut], text[cut:])):
                meta = {"domain": domain, "doc": f"{domain}-{number}", "chunk": chunk}
                found.append(Example(target=part, meta=meta))
    return found


@pytest.fixture(scope="module")
def stream() -> list[Ask]:
    return make_stream(records(), topics=2, passages=4, restated=8, again=5)


def test_a_stream_has_what_was_asked_for_and_is_the_same_again(stream: list[Ask]) -> None:
    kinds = [ask.kind for ask in stream]
    assert (kinds.count("new"), kinds.count("restated"), kinds.count("again")) == (24, 8, 5)
    assert len({ask.topic for ask in stream}) == 6
    assert stream == make_stream(reversed(records()), topics=2, passages=4, restated=8, again=5)
    assert stream != make_stream(records(), topics=2, passages=4, restated=8, again=5, seed=1)


def test_topics_come_back_after_others(stream: list[Ask]) -> None:
    runs = [a.topic for a, b in itertools.pairwise(stream) if a.topic != b.topic]
    assert len(runs) > len(set(runs))


def test_passages_lie_in_their_document_and_come_in_its_order(stream: list[Ask]) -> None:
    texts: dict[str, str] = {}
    for record in records():
        texts[record.meta["doc"]] = texts.get(record.meta["doc"], "") + record.text
    places: dict[tuple[str, str], list[int]] = {}
    for ask in stream:
        assert ask.document.startswith(ask.domain)
        assert len(ask.text.strip()) >= SHORTEST
        assert ask.query.given + (ask.query.target or "") == ask.text
        where = texts[ask.document].index(ask.text)
        if ask.kind == "new":
            places.setdefault((ask.topic, ask.document), []).append(where)
    assert all(found == sorted(found) for found in places.values())
    assert any(len({doc for topic, doc in places if topic == name}) > 1 for name in ("short/0", "short/1"))


def test_a_repeat_comes_after_its_passage_and_names_it(stream: list[Ask]) -> None:
    for number, ask in enumerate(stream):
        if ask.kind == "again":
            assert ask.first < number
            assert stream[ask.first].text == ask.text
        else:
            assert ask.first == number


@pytest.mark.parametrize("hit", [0.0, 0.4, 0.8, 1.0, None])
@pytest.mark.parametrize("merge", [1, 3])
def test_the_simulation_does_what_the_cache_on_disk_does(tmp_path: Path, hit: float | None, merge: int) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((30, 3)).astype(np.float32)
    vectors[20:] = vectors[rng.integers(20, size=10)]  # exact repeats
    kept = [bool(value) for value in rng.random(30) < 0.8]
    unit = unit_rows(list(vectors), 3, ["a vector"] * 30).astype(np.float64)
    cache, made = AdapterCache(tmp_path, clock=iter(range(10**6)).__next__), dict[str, int]()
    origin = Provenance(example_ids=(), model="m", embedder="e", seed=0, recipe={})
    found = []
    for query, vector in enumerate(vectors):
        looked = cache.lookup(vector, model="m", embedder="e", recipe={}, hit=hit, warm=None, k=merge)
        if looked.kind == "hit":
            found.append(tuple(made[one.id] for one in looked.neighbours))
            continue
        found.append(())
        if kept[query]:
            made[cache.add({}, {"w": torch.zeros(1)}, vector=vector, provenance=origin)] = query
    assert [step.adapters for step in simulate(np.clip(unit @ unit.T, -1, 1), kept, hit, merge=merge)] == found


def test_pairs_are_with_earlier_kept_adapters_and_hold_the_nearest_and_one_of_each_band() -> None:
    unit = unit_rows(list(np.random.default_rng(1).standard_normal((25, 4))), 4, ["a vector"] * 25)
    cosines, kept = unit @ unit.T, [i % 4 != 0 for i in range(25)]
    bands = (-0.5, 0.0, 0.5)
    pairs = pairs_at_distances(cosines, kept, bands=bands)
    assert len(set(pairs)) == len(pairs)
    for query in range(2, 25):
        earlier = [other for other in range(query) if kept[other]]
        tried = [other for i, other in pairs if i == query]
        assert set(tried) <= set(earlier)
        if not kept[query]:
            assert not tried
            continue
        assert max(earlier, key=lambda other: cosines[query, other]) in tried
        for low, high in ((-0.5, 0.0), (0.0, 0.5)):
            assert any(low <= cosines[query, o] < high for o in tried) == any(
                low <= cosines[query, o] < high for o in earlier
            )


def test_a_log_goes_on_without_a_torn_line_and_refuses_other_settings(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    Log(path, {"a": 1}).put("x", [1, 2])
    with path.open("a") as file:
        file.write('["y", 3')
    again = Log(path, {"a": 1})
    assert again.values == {"x": [1, 2]}
    again.put("z", True)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": 1}, ["x", [1, 2]], ["z", True]]
    with pytest.raises(SystemExit, match="other settings"):
        Log(path, {"a": 2})


@pytest.fixture
def engine(tmp_path: Path, tiny_llama: LanguageModel) -> Engine:
    memory = Memory.create(tmp_path / "m.whet", embedder=HashEmbedder())
    memory.add([Example(target=prose(seed, 30)) for seed in range(40)])
    config = EngineConfig(picks=5, candidates=12, train=TrainConfig(lr=0.01), lora=LoraConfig(r=2), reuse=None, merge=1)
    return Engine(tiny_llama, memory, config)


def test_courses_end_when_all_is_learnt_and_nothing_is_done_twice(
    engine: Engine, tmp_path: Path, stream: list[Ask]
) -> None:
    asks = [replace(ask, first=i) for i, ask in enumerate(ask for ask in stream if ask.kind == "new")][:6]
    log = Log(tmp_path / "log.jsonl", {})
    lab = Lab(engine, asks, barred=set(), log=log, folder=tmp_path / "adapters", name="test")
    lab.prepare()
    lab.courses([(5, 0), (4, 1)], (2, 4))
    for query, other in ((5, 0), (4, 1)):
        course = lab.course(query, other)
        assert len(course["afresh"]) == len(course["from"]) == 3
        assert course["from"][0] != course["afresh"][0]
    lab.courses([(5, 1)], (4,))  # all steps: one of five picks is held out
    course = lab.course(5, 1)
    assert course["afresh"][0] == pytest.approx(course["afresh"][1], abs=1e-5)
    assert course["from"][0] == course["from"][1]
    size = log.path.stat().st_size
    lab.prepare()
    lab.courses([(5, 0), (4, 1)], (2, 4))
    assert log.path.stat().st_size == size
