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

from whet.adaptation import GuardConfig, LoraConfig, TrainConfig
from whet.config import EngineConfig
from whet.decoding import Sampling, score_text
from whet.engine import Engine
from whet.memory import AdapterCache, Memory, Provenance
from whet.memory.base import unit_rows
from whet.models import LanguageModel
from whet.types import Example

pytest.importorskip("matplotlib")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from adapter_stream_choice import choose, every_second
from adapter_stream_lab import Lab, Log
from adapter_stream_policy import Step, pairs_at_distances, simulate
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


def serves(query: int, adapters: tuple[int, ...]) -> bool:
    """A guard that refuses some."""
    return (query + sum(adapters)) % 3 > 0


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
        near = tuple(made[one.id] for one in looked.neighbours) if looked.kind == "hit" else ()
        found.append(Step(near, bool(near) and serves(query, near)))
        if not found[-1].serves and kept[query]:
            made[cache.add({}, {"w": torch.zeros(1)}, vector=vector, provenance=origin)] = query
    assert simulate(np.clip(unit @ unit.T, -1, 1), kept, serves, hit, merge=merge) == found


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


class Kept:
    """Stands for an outcome that keeps so much of the gain, in per cent, on each half of the topics."""

    topics = np.array(["a", "b", "a", "c", "d"])

    def __init__(self, choosing: float, confirming: float) -> None:
        self.by_half = {True: choosing, False: confirming}

    def half(self, mask: np.ndarray) -> dict[str, object]:
        kept = self.by_half[bool(mask[0])]
        return {"gain kept": {"value": kept, "ci95": (kept - 4, kept + 4)}}


def test_the_default_is_the_smallest_threshold_from_which_on_all_keep_enough() -> None:
    assert every_second(Kept.topics).tolist() == [True, False, True, True, False]

    def chosen(tried: dict[float, Kept]) -> dict[str, tuple[float, bool]]:
        found = choose(tried, lambda threshold: Kept(95 - threshold, 0))  # type: ignore[arg-type,return-value]
        on = ("chosen on one half", "chosen on both halves")
        return {name: (found[name]["threshold"], found[name]["confirmed"]) for name in on if name in found}

    outcomes = {0.2: Kept(99, 99), 0.4: Kept(93, 99), 0.6: Kept(96, 94), 0.8: Kept(97, 98), 1.0: Kept(100, 99)}
    assert chosen(outcomes) == {"chosen on one half": (0.6, False), "chosen on both halves": (0.8, False)}
    assert chosen(outcomes | {0.6: Kept(96, 96)})["chosen on one half"] == (0.6, True)
    assert chosen(outcomes | {1.0: Kept(93, 99)}) == {}


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
    config = EngineConfig(
        picks=5,
        candidates=12,
        train=TrainConfig(lr=0.01),
        lora=LoraConfig(r=2),
        tolerances=GuardConfig(gain=0.14, confidence=0.5, canary=9.0, kl=9.0),  # keeps some and refuses some
        reuse=None,
    )
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
    lab.courses([(5, 1)], (5,))  # all steps
    course = lab.course(5, 1)
    assert course["afresh"][0] == pytest.approx(course["afresh"][1], abs=1e-5)
    assert course["from"][0] == course["from"][1]
    size = log.path.stat().st_size
    lab.prepare()
    lab.courses([(5, 0), (4, 1)], (2, 4))
    assert log.path.stat().st_size == size


@pytest.mark.parametrize("merge", [1, 3])
def test_decisions_and_scores_are_those_of_the_engine(
    engine: Engine, tmp_path: Path, stream: list[Ask], merge: int
) -> None:
    asks = [ask for ask in stream if ask.domain == "animals"]
    first: dict[str, int] = {}
    asks = [replace(ask, first=first.setdefault(ask.text, i)) for i, ask in enumerate(asks)]
    lab = Lab(
        engine, asks, barred=set(), log=Log(tmp_path / "log.jsonl", {}), folder=tmp_path / "adapters", name="test"
    )
    lab.prepare()
    hit = float(np.quantile(lab.cosines[np.triu_indices(len(asks), 1)], 0.6))
    steps = simulate(lab.cosines, lab.kept, lambda *pair: lab.trial(*pair).serves, hit, merge=merge)
    assert {(bool(step.adapters), step.serves) for step in steps} == {(False, False), (True, False), (True, True)}
    assert set(lab.kept) == {True, False}
    real = Engine(engine.model, engine.memory, replace(engine.config, reuse=hit, merge=merge))
    for i, (ask, step) in enumerate(zip(asks, steps, strict=True)):
        served = real.recall.find(lab.vectors[i].astype(np.float32), real.bank)
        assert (served.bank is not None) == bool(step.adapters)
        if served.bank is not None:
            with served.bank.using(0):
                bits = score_text(engine.model, ask.query.target or "", given=ask.query.given).bits_per_byte
            assert lab.trial(i, step.adapters).bits == pytest.approx(bits, abs=1e-4)
        answer = real.answer(ask.query.given, sampling=Sampling(max_tokens=1))
        assert answer.plan.rung == ("reuse" if step.serves else "adapt" if lab.kept[i] else "base")
        if not step.serves:
            assert answer.guard.status == lab.findings[i]
            with real.bank.using(0):
                bits = score_text(engine.model, ask.query.target or "", given=ask.query.given).bits_per_byte
            assert lab.own[i] == pytest.approx(bits, abs=1e-4)
