"""The demo: nothing that is asked stands in the memory, and what the acts say is what happened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import HashEmbedder

from whet.cli.demo_show import show
from whet.config import EngineConfig
from whet.engine import Engine
from whet.errors import InputError, MissingExtraError
from whet.evaluation import Record
from whet.evaluation.demo import Act, Comparison, DemoSize, Inside, Opening, Puzzles, Reuse, run_demo
from whet.evaluation.demo.data import (
    CODE,
    HELP,
    Growth,
    demo_queries,
    from_the_middle,
    growing_prompts,
    long_lines,
    memory_examples,
    place_of,
)
from whet.evaluation.demo.inside import look_inside
from whet.evaluation.demo.reuse import reuse_adapters
from whet.evaluation.demo.words import prompt_words, reuse_words
from whet.memory import Memory
from whet.models import LanguageModel
from whet.tasks import MODES
from whet.types import Answer, Example, Query

FULL = DemoSize()
SMALL = DemoSize(
    memory_modules=("sched",),
    memory_topics=2,
    modules=("shelve",),
    topics=("assert",),
    queries=1,
    candidates=8,
    picks=3,
    pairs=1,
    tokens=4,
)


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return memory_examples(FULL)


@pytest.fixture(scope="module")
def known(examples: list[Example]) -> frozenset[str]:
    return frozenset(long_lines(example.text for example in examples))


def test_the_memory_holds_no_held_out_module_or_topic(examples: list[Example]) -> None:
    paths = {str(example.meta["path"]) for example in examples}
    assert not paths & {f"{name}.py" for name in FULL.modules}
    assert not paths & {f"help/{name}" for name in FULL.topics}
    assert not set(FULL.modules) & set(FULL.memory_modules)
    assert {"ntpath.py", "queue.py", "json/__init__.py", "help/with"} <= paths


def test_no_query_stands_in_the_memory(examples: list[Example], known: frozenset[str]) -> None:
    memory = "\n".join(example.text for example in examples)
    texts, _ = demo_queries(FULL, known)
    for text in [t.text for t in texts] + [p.second + p.target for p in growing_prompts(FULL, known)]:
        assert text not in memory
        scored = MODES["halves"](text).target
        assert scored is not None
        assert scored not in memory
        # code shares lines such as imports with other code, but not most of them
        lines = [line.strip() for line in text.split("\n") if len(line.strip()) >= 30]
        assert sum(line in memory for line in lines) <= max(1, len(lines) / 3)
    # topics share nothing
    topics = [text.text for text in texts if text.group == HELP]
    assert not {line for topic in topics for line in topic.split("\n") if len(line) >= 40 and line in memory}


def test_the_queries_are_many_short_and_always_the_same(examples: list[Example], known: frozenset[str]) -> None:
    texts, unions = demo_queries(FULL, known)
    assert len(texts) >= 40
    assert len({text.id for text in texts}) == len(texts)
    assert all(1 < len(text.text) <= 1200 for text in texts)
    assert {text.group for text in texts} == unions[CODE] | {HELP}
    assert unions[CODE] == {f"{name}.py" for name in FULL.modules}
    assert demo_queries(FULL, known) == (texts, unions)
    assert 900_000 < sum(len(example.text) for example in examples) < 1_400_000


def test_the_place_of_a_query_is_where_it_stands(known: frozenset[str]) -> None:
    texts, unions = demo_queries(FULL, known)
    ordered = from_the_middle(texts, unions[CODE])
    assert len(ordered) == sum(text.group in unions[CODE] for text in texts)
    text = ordered[0]
    assert text.group == sorted(unions[CODE])[len(unions[CODE]) // 2]
    path, line = place_of(text).split(":")
    source = (Path(json.__file__).parent.parent / path).read_text(encoding="utf-8")
    assert "\n".join(source.split("\n")[int(line) - 1 :]).lstrip().startswith(text.text)


def test_prompts_grow(known: frozenset[str]) -> None:
    pairs = growing_prompts(FULL, known)
    assert len(pairs) == len(FULL.modules)
    for pair in pairs:
        assert pair.second.startswith(pair.first)
        assert len(pair.first) < len(pair.second)
        assert pair.target.strip()


def test_a_python_without_its_texts_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pydoc_data.topics", None)
    with pytest.raises(MissingExtraError, match="libpython3-stdlib"):
        memory_examples(SMALL)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(InputError, match="no sources"):
        memory_examples(SMALL)


@pytest.fixture
def engine(tiny_llama: LanguageModel, tmp_path: Path) -> Iterator[Engine]:
    with Memory.create(tmp_path / "m.whet", embedder=HashEmbedder()) as memory:
        memory.add(memory_examples(SMALL))
        yield Engine(tiny_llama, memory, EngineConfig(candidates=12, picks=6, noise=0.1))


def test_the_steps_taken_again_are_those_of_the_engine(engine: Engine) -> None:
    inside = look_inside(engine, {"here": Query("def run(self", "def run(self", "):\n    pass\n")}, tokens=4)
    assert [step.before for step in inside.steps] == pytest.approx(list(inside.answer.losses), rel=1e-6)
    assert inside.answer.plan.rung == ("adapt" if inside.answer.guard.status != "rolled_back" else "base")
    assert inside.traces["sift(0.1)"] == inside.answer.uncertainty
    assert {len(trace) for trace in inside.traces.values()} == {7}
    assert len(engine.memory.adapters) == 0


def test_the_first_query_whose_adapter_may_answer_is_shown(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = {place: Query(f"def {place}", f"def {place}", "(self):\n    pass\n") for place in ("one", "two", "three")}
    let_through: list[str] = ["def three"]
    answer = Engine.answer

    def judged(engine: Engine, prompt: str, **named: Any) -> Answer:
        found = answer(engine, prompt, **named)
        rung = "adapt" if any(prompt.startswith(text) for text in let_through) else "base"
        return replace(found, plan=replace(found.plan, rung=rung))

    monkeypatch.setattr(Engine, "answer", judged)
    shown = look_inside(engine, queries, tokens=2)
    assert (shown.place, shown.refused) == ("three", 2)
    assert "Before it 2 were tried" in prompt_words(shown)
    let_through.clear()
    shown = look_inside(engine, queries, tokens=2)
    assert (shown.place, shown.refused) == ("one", 0)
    assert "no adapter of those around it" in prompt_words(shown)


def test_neighbours_passed_over_are_those_not_picked_with_what_is_most_like_them(engine: Engine) -> None:
    inside = look_inside(engine, {"here": Query("def run(self", "def run(self", "):\n    pass\n")}, tokens=4)
    found = engine.memory.search("def run(self", 6)
    picked = {pick.example.id for pick in inside.answer.picks}
    assert {passed.example.id for passed in inside.passed_over} == set(found.ids) - picked
    order = [pick.example.id for pick in inside.answer.picks]
    by_id = dict(zip(found.ids, found.vectors, strict=True))
    by_id |= dict(zip(order, engine.memory.embed([pick.example.text for pick in inside.answer.picks]), strict=True))
    for passed in inside.passed_over:
        assert found.ids[passed.why.rank - 1] == passed.example.id
        others = [*order, *found.ids[: passed.why.rank - 1]]
        cosines = [float(by_id[passed.example.id] @ by_id[other]) for other in others]
        assert passed.why.like is not None
        assert abs(passed.why.like.cosine) == pytest.approx(max(map(abs, cosines)), abs=1e-6)
        assert passed.why.gain < passed.why.alone
    likenesses = [passed.why.like.cosine for passed in inside.passed_over if passed.why.like]
    assert likenesses == sorted(likenesses, reverse=True)
    lost = -np.diff(inside.traces["nearest"])[[passed.why.rank - 1 for passed in inside.passed_over]].sum()
    assert inside.lost == pytest.approx(lost)
    gains = -np.diff(inside.answer.uncertainty)
    far = [g for g, pick in zip(gains, inside.answer.picks, strict=True) if pick.example.id not in found.ids]
    assert inside.elsewhere == pytest.approx(sum(far))


NEAR = Growth(
    "m.py:1", "a queue of events that run one after the other", "a queue of events that run one after the other.", "Yes"
)
FAR = Growth("n.py:1", "zzzz", "a queue of events that run one after the other and", "No")


def test_a_hit_is_compared_and_a_miss_is_counted(engine: Engine) -> None:
    engine.config = replace(engine.config, guard=False)
    done: list[int] = []
    reuse = reuse_adapters(engine, [NEAR, FAR], tokens=2, progress=done.append)
    assert reuse.hits == (True, False)
    assert reuse.cosines[0] >= reuse.threshold > reuse.cosines[1]
    assert [r.method for r in reuse.records] == ["base", "fresh", "reused"]
    base, fresh, reused = reuse.records
    assert len({base.bits_per_byte, fresh.bits_per_byte, reused.bits_per_byte}) == 3
    assert "train" in fresh.seconds
    assert "train" not in reused.seconds
    assert done == [1, 2]
    assert len(engine.memory.adapters) == 0
    words = reuse_words(reuse)
    assert words[0].startswith("1 of 2 second queries")
    assert "trained anew" in words[1]


def test_no_hit_claims_nothing() -> None:
    words = reuse_words(Reuse((0.5,), 0.95, (False,), ()))
    assert len(words) == 2
    assert words[0].startswith("0 of 1")


@contextmanager
def counting(text: str, unit: str, total: int) -> Iterator[Callable[[int], None]]:
    assert text
    assert unit

    def progress(done: int) -> None:
        assert 0 <= done <= total

    yield progress


def test_the_acts_from_end_to_end_without_what_arc_needs(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whet.evaluation.demo.puzzles.find_spec", lambda _: None)

    def play() -> list[Act]:
        acts: list[Act] = []
        report = run_demo(
            tmp_path / "out", model=str(model_folder), workers=1, counting=counting, show=acts.append, size=SMALL
        )
        assert report == tmp_path / "out" / "report.html"
        return acts

    acts = play()
    assert [type(act) for act in acts] == [Opening, Comparison, Inside, Reuse, Puzzles]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 5
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert {"config", "language", "inside", "reuse", "arc"} == set(results)
    records = [Record(**record) for record in results["language"]["records"]]
    methods = ["base", "context(0.1)", "random", "nearest", "sift(0.1)"]
    assert [record.method for record in records if record.id == records[0].id] == methods

    for act in acts:
        show(act)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    for words in ("Act 1", "Act 2", "Act 3", "Act 4", "pip install 'whet[arc]'", "sift(0.1)", "shelve.py:"):
        assert words in printed

    with Memory.open(tmp_path / "out" / "memory.whet") as memory:
        memory.add([Example("left from an older run")])
        before = len(memory)
    again = play()
    assert isinstance(again[0], Opening)
    assert again[0].examples == before - 1
    assert again[1] == acts[1]  # read from the log, seconds and all
    assert len(list((tmp_path / "out").glob("measurements-*.jsonl"))) == 1
