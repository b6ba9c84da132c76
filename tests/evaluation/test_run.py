"""Runs on several processes: the same as one by one, and resumed where they ended."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from whet.config import EngineConfig
from whet.engine import Engine
from whet.errors import InputError
from whet.evaluation import Job, Settings, Text, choose_texts, measure, measure_all
from whet.memory import Memory
from whet.types import Example


def example(text: str, domain: str) -> Example:
    return Example(target=text, meta={"domain": domain})


def test_texts_are_different_ones_of_each_group() -> None:
    examples = [example(f"number {i % 10}", "many") for i in range(20)] + [example("only", "one"), example(" ", "one")]
    texts = choose_texts(examples, limit=4, max_chars=100)
    assert [t.group for t in texts] == ["many"] * 4 + ["one"]
    assert len({t.text for t in texts}) == 5


def test_a_larger_limit_takes_the_same_texts_and_more() -> None:
    examples = [example(f"number {i}", f"group {i % 3}") for i in range(60)]
    few, many = (choose_texts(examples, limit=limit, max_chars=100) for limit in (4, 9))
    assert set(few) < set(many)
    assert choose_texts(reversed(examples), limit=4, max_chars=100) == few


def test_texts_are_cut_and_grouped_by_file() -> None:
    (text,) = choose_texts([Example(target="x" * 50, meta={"path": "a/b.py"})], limit=3, max_chars=20)
    assert (text.group, text.text) == ("b.py", "x" * 20)


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


TEXTS = [
    Text(f"{i:02x}", "g", f"Here is something about {w} and more of it.") for i, w in enumerate(("cats", "rain", "ice"))
]


def test_workers_equal_one_by_one_and_a_torn_log_is_resumed(job: Job, tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    seen: list[int] = []
    records = measure_all(job, TEXTS, log=log, workers=2, progress=seen.append)
    assert seen == [0, 1, 2, 3]

    engine = Engine.from_pretrained(job.model, memory=Memory.open(job.memory), config=job.config)
    alone = [record for text in TEXTS for record in measure(engine, text, job.settings)]
    assert [r.bits_per_byte for r in records] == pytest.approx([r.bits_per_byte for r in alone], rel=1e-5)
    assert [(r.id, r.mode, r.method, r.picks) for r in records] == [(r.id, r.mode, r.method, r.picks) for r in alone]

    header, first, *_ = log.read_text().splitlines(keepends=True)
    log.write_text(header + first + first[:20])
    kept = json.loads(first)[0]["id"]
    again = measure_all(job, TEXTS, log=log, workers=1)
    assert [r for r in again if r.id == kept] == [r for r in records if r.id == kept]
    assert [replace(r, seconds={}) for r in again] == [replace(r, seconds={}) for r in records]


def test_more_texts_go_on_in_the_same_log(job: Job, tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    first = measure_all(job, TEXTS[:1], log=log, workers=1)
    told: list[int] = []
    both = measure_all(job, TEXTS[:2], log=log, workers=1, progress=told.append)
    assert told == [1, 2]
    assert [r for r in both if r.id == TEXTS[0].id] == first
    assert measure_all(job, TEXTS[:1], log=log, workers=1) == first


@pytest.mark.parametrize("left", ["my notes\nand more", "my notes"])
def test_a_file_that_is_no_log_is_left_alone(job: Job, tmp_path, left: str) -> None:
    log = tmp_path / "notes.txt"
    log.write_text(left)
    with pytest.raises(InputError, match="something else"):
        measure_all(job, TEXTS[:1], log=log, workers=1)
    assert log.read_text() == left


def test_another_job_may_not_write_into_the_log(job: Job, tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    measure_all(job, TEXTS[:1], log=log, workers=1)
    with pytest.raises(InputError, match="another run"):
        measure_all(replace(job, settings=replace(job.settings, picks=(1,))), TEXTS[:1], log=log, workers=1)


def test_workers_end_with_a_killed_run(job: Job, tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    texts = [
        Text(f"{i:04x}", "g", f"Text {i} about cats and rain and more of it, again and again.") for i in range(500)
    ]
    script = tmp_path / "run.py"
    script.write_text(
        "import pickle, sys\n"
        "from pathlib import Path\n"
        "from whet.evaluation import measure_all\n"
        "if __name__ == '__main__':\n"
        f"    job, texts = pickle.loads(Path({str(tmp_path / 'job')!r}).read_bytes())\n"
        f"    measure_all(job, texts, log=Path({str(log)!r}), workers=2)\n"
    )
    (tmp_path / "job").write_bytes(pickle.dumps((job, texts)))
    run = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    try:
        wait_until(lambda: log.exists() and log.read_text().count("\n") > 3, seconds=120)
        run.kill()
        run.wait()
        wait_until(lambda: not processes_of(run.pid), seconds=30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    done = len(log.read_text().splitlines()) - 1
    assert 3 <= done < len(texts)


def processes_of(session: int) -> list[int]:
    """Processes of a session that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, _, _, of = path.read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z":
                found.append(int(path.parent.name))
    return found


def wait_until(true: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
