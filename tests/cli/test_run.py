"""`whet run`: a file of queries becomes a file of answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_fakes import FakeEngine, Whet, some_answer

from whet.config import EngineConfig
from whet.types import Answer


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"text": "one", "id": "a", "level": 1}\n{"text": "two"}\n{"text": "three", "id": "c"}\n')
    return path


def _ids(path: Path) -> list[str | int]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def test_every_query_is_answered_with_the_options(
    whet: Whet, memory: Path, queries: Path, engine: FakeEngine, tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    result = whet("run", queries, "--out", out, "--memory", memory, "--picks", 3, "--steps", 2, "--max-tokens", 5)
    assert result.exit_code == 0
    assert result.stdout == f"queries answered: 3; answered before: 0; answers: {out}\n"
    assert engine.config == EngineConfig(picks=3)
    assert [(text, budget.steps, sampling.max_tokens) for text, budget, sampling in engine.asked] == [
        ("one", 2, 5),
        ("two", 2, 5),
        ("three", 2, 5),
    ]
    assert _ids(out) == ["a", 2, "c"]
    assert json.loads(out.read_text().splitlines()[0])["query"] == {"text": "one", "id": "a", "level": 1}


def test_interrupted_it_goes_on_with_the_same_command(
    whet: Whet, memory: Path, queries: Path, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "answers.jsonl"
    command = ("run", queries, "--out", out, "--memory", memory)

    def interrupt(prompt: str, **_: object) -> Answer:
        if prompt == "two":
            raise KeyboardInterrupt
        return some_answer(prompt)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "answer", interrupt)
        result = whet(*command)
    assert result.exit_code == 130
    assert f"answers so far are in {out}" in result.stderr
    assert _ids(out) == ["a"]
    assert whet(*command).stdout.startswith("queries answered: 2; answered before: 1;")
    assert _ids(out) == ["a", 2, "c"]


def test_a_bad_line_stops_it_before_any_work(whet: Whet, memory: Path, queries: Path, engine: FakeEngine) -> None:
    queries.write_text(queries.read_text() + '{"text": "again", "id": "a"}\n')
    out = queries.with_name("answers.jsonl")
    result = whet("run", queries, "--out", out, "--memory", memory)
    assert result.exit_code == 1
    assert f"{queries}:4: " in result.stderr
    assert engine.config is None
    assert not out.exists()


@pytest.mark.usefixtures("engine")
def test_the_queries_are_not_taken_for_answers(whet: Whet, memory: Path, queries: Path) -> None:
    before = queries.read_text()
    assert whet("run", queries, "--out", queries, "--memory", memory).exit_code == 1
    assert queries.read_text() == before


def test_a_real_model_answers_a_batch(whet: Whet, memory: Path, queries: Path, model_folder: Path) -> None:
    out = queries.with_name("answers.jsonl")
    result = whet("run", queries, "--out", out, "--memory", memory, "--model", model_folder, "--max-tokens", 4)
    assert result.exit_code == 0
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["rung"] in ("adapt", "base", "reuse") for record in records] == [True] * 3
    assert len(records[0]["picks"]) == 20
    assert 0 < records[0]["uncertainty"] < 1
