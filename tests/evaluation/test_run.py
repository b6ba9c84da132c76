"""Runs on several processes: the same as one by one, and resumed where they ended."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from whet.engine import Engine, EngineConfig
from whet.errors import InputError
from whet.evaluation import Job, Settings, Text, choose_texts, measure, measure_all
from whet.memory import Memory
from whet.types import Example


def example(text: str, domain: str) -> Example:
    return Example(target=text, meta={"domain": domain})


def test_texts_are_spread_over_each_group() -> None:
    examples = [example(f"number {i}", "many") for i in range(10)] + [example("only", "one"), example(" ", "one")]
    texts = choose_texts(examples, limit=4, max_chars=100)
    assert [t.text for t in texts] == ["number 0", "number 2", "number 5", "number 7", "only"]
    assert [t.index for t in texts] == list(range(5))
    assert [t.group for t in texts] == ["many"] * 4 + ["one"]


def test_texts_are_cut_and_grouped_by_file() -> None:
    texts = choose_texts([Example(target="x" * 50, meta={"path": "a/b.py"})], limit=3, max_chars=20)
    assert texts == [Text(0, "b.py", "x" * 20)]


def test_no_texts_is_an_error() -> None:
    with pytest.raises(InputError, match="--where"):
        choose_texts([], limit=3, max_chars=20)


@pytest.fixture
def job(model_folder, tmp_path) -> Job:
    with Memory.create(tmp_path / "m.whet") as memory:
        memory.add([Example(target=f"Sentence {i} about {w}.") for i, w in enumerate(("cats", "dogs", "rain", "sun"))])
    return Job(
        model=str(model_folder),
        memory=str(tmp_path / "m.whet"),
        config=EngineConfig(reuse=None, candidates=4),
        settings=Settings(methods=("base", "sift"), picks=(2,), modes=("halves",)),
    )


TEXTS = [Text(i, "g", f"Here is something about {w} and more of it.") for i, w in enumerate(("cats", "rain", "ice"))]


def test_workers_equal_one_by_one_and_a_torn_log_is_resumed(job: Job, tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    seen: list[int] = []
    records = measure_all(job, TEXTS, log=log, workers=2, progress=seen.append)
    assert seen == [0, 1, 2, 3]

    engine = Engine.from_pretrained(job.model, memory=Memory.open(job.memory), config=job.config)
    alone = [record for text in TEXTS for record in measure(engine, text, job.settings)]
    assert [r.bits_per_byte for r in records] == pytest.approx([r.bits_per_byte for r in alone], rel=1e-5)
    assert [(r.index, r.mode, r.method, r.picks) for r in records] == [
        (r.index, r.mode, r.method, r.picks) for r in alone
    ]

    header, first, *_ = log.read_text().splitlines(keepends=True)
    log.write_text(header + first + first[:20])
    kept = json.loads(first)[0]["index"]
    again = measure_all(job, TEXTS, log=log, workers=1)
    assert [r for r in again if r.index == kept] == [r for r in records if r.index == kept]
    assert [replace(r, seconds={}) for r in again] == [replace(r, seconds={}) for r in records]


def test_another_job_may_not_write_into_the_log(job: Job, tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    measure_all(job, TEXTS[:1], log=log, workers=1)
    with pytest.raises(InputError, match="another run"):
        measure_all(job, TEXTS, log=log, workers=1)
