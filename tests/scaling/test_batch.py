"""Answering a batch: order, resuming, and being killed at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from whet.errors import ModelError
from whet.scaling import BatchQuery, answer_all, open_answers, read_queries
from whet.types import Answer, Cost, Example, GuardReport, Pick, Plan

_WORKER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_batch import slow_answer
from whet.scaling import answer_all, open_answers, read_queries
queries = read_queries(Path(sys.argv[2]))
with open_answers(Path(sys.argv[3])) as answers:
    answer_all(queries, answers, slow_answer)
"""


def _answer(prompt: str) -> Answer:
    picks = (Pick(Example("one"), 0.9, 0.5), Pick(Example("two"), 0.8, 0.25))
    return Answer(
        text=prompt.upper(),
        picks=picks,
        uncertainty=(1.0, 0.5, 0.25),
        plan=Plan("adapt", 2, 1, "all"),
        cost=Cost({"train": 1.0, "generate": 0.5}, {}, 0.0),
        guard=GuardReport("kept", 3.0, 2.0, "it fell"),
        notes=("a note",),
    )


def slow_answer(prompt: str) -> Answer:
    """A fake answer of many bytes, so that a kill may fall into the writing of it."""
    time.sleep(0.01)
    return Answer(**{**vars(_answer(prompt)), "text": prompt * 10_000})


def _queries(count: int) -> list[BatchQuery]:
    return [BatchQuery(f"q{i}", f"text {i}", {"id": f"q{i}", "text": f"text {i}"}) for i in range(count)]


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_a_line_says(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with open_answers(path) as answers:
        answer_all(_queries(1), answers, _answer)
    assert _lines(path) == [
        {
            "id": "q0",
            "text": "TEXT 0",
            "rung": "adapt",
            "picks": [Example("one").id, Example("two").id],
            "uncertainty": 0.25,
            "guard": "kept",
            "seconds": 1.5,
            "notes": ["a note"],
            "query": {"id": "q0", "text": "text 0"},
        }
    ]


def test_only_what_is_left_is_answered_and_progress_counts_all(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    asked: list[str] = []
    done: list[int] = []

    def answer(prompt: str) -> Answer:
        asked.append(prompt)
        return _answer(prompt)

    with open_answers(path) as answers:
        assert answer_all(_queries(2), answers, answer).answered == 2
    with open_answers(path) as answers:
        report = answer_all(_queries(4), answers, answer, progress=done.append)
    assert (report.answered, report.found) == (2, 2)
    assert asked == [f"text {i}" for i in range(4)]
    assert done == [2, 3, 4]
    assert [line["id"] for line in _lines(path)] == ["q0", "q1", "q2", "q3"]


def test_an_error_names_the_query_and_keeps_the_answers_before_it(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"

    def answer(prompt: str) -> Answer:
        if prompt == "text 1":
            raise ModelError("diverged")
        return _answer(prompt)

    with open_answers(path) as answers, pytest.raises(ModelError, match="diverged") as caught:
        answer_all(_queries(3), answers, answer)
    assert "'q1'" in caught.value.__notes__[0]
    assert [line["id"] for line in _lines(path)] == ["q0"]


def test_killed_again_and_again_no_query_is_lost_and_none_answered_twice(tmp_path: Path) -> None:
    queries, out = tmp_path / "queries.jsonl", tmp_path / "answers.jsonl"
    count = 40
    queries.write_text("".join(json.dumps({"text": f"text {i}", "id": f"q{i}"}) + "\n" for i in range(count)))
    command = [sys.executable, "-c", _WORKER, str(Path(__file__).parent), str(queries), str(out)]
    kills = 0
    for target in (5, 12, 25):
        worker = subprocess.Popen(command)
        while worker.poll() is None and (not out.exists() or out.read_bytes().count(b"\n") < target):
            time.sleep(0.001)
        if worker.poll() is None:
            os.kill(worker.pid, signal.SIGKILL)
            kills += 1
        worker.wait()
    assert kills == 3
    assert out.read_bytes().count(b"\n") < count
    subprocess.run(command, check=True)
    lines = _lines(out)
    assert [line["id"] for line in lines] == [query.id for query in read_queries(queries)]
    assert all(line["text"] == f"text {i}" * 10_000 for i, line in enumerate(lines))
