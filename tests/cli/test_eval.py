"""`whet eval language` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from whet.cli.app import app
from whet.memory import Memory
from whet.types import Example

ROW = {"domain", "mode", "method", "picks", "bits_per_byte", "percent_of_base", "ci95", "queries", "seconds_per_query"}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, list[Path]]:
    with Memory.create(tmp_path / "m.whet") as memory:
        memory.add([Example(target=f"A note about {word} and what it is for.") for word in ("rain", "snow", "wind")])
    queries = []
    for domain in ("weather", "roads"):
        lines = [
            json.dumps({"domain": domain, "split": split, "text": f"More about {domain}, {split}.\nAnd on it goes."})
            for split in ("test", "validation")
        ]
        queries.append(tmp_path / f"{domain}.jsonl")
        queries[-1].write_text("\n".join(lines))
    return tmp_path / "m.whet", queries


def call(memory: Path, queries: list[Path], model: Path, out: Path, *more: str):
    names = [str(path) for path in queries]
    return CliRunner().invoke(
        app,
        ["eval", "language", "--memory", str(memory), "--queries", *names, "--picks", "1,2",
         "--methods", "base,sift", "--model", str(model), "--workers", "1", "--json", str(out),
         *(more or ("--where", "split=test"))],
    )  # fmt: skip


def test_rows_table_and_report(files, model_folder: Path, tmp_path: Path) -> None:
    memory, queries = files
    out = tmp_path / "out" / "eval.json"
    result = call(memory, queries, model_folder, out)
    assert result.exit_code == 0, result.output
    assert "sift(0.1)" in result.output
    written = json.loads(out.read_text())
    assert all(row.keys() >= ROW for row in written["rows"])
    assert {row["domain"] for row in written["rows"]} == {"roads", "weather", "all"}
    assert {row["picks"] for row in written["rows"]} == {0, 1, 2}
    assert {row["queries"] for row in written["rows"]} == {1, 2}
    assert written["config"]["where"] == {"split": "test"}
    assert out.with_suffix(".html").read_text().lower().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--methods", "best"), "give some of base"),
        (("--picks", "many"), "is no number"),
        (("--where", "split=none"), "no text among the queries"),
        (("--lr", "0"), "learning rate"),
    ],
)
def test_what_makes_no_sense_is_refused(files, model_folder: Path, tmp_path: Path, more, said: str) -> None:
    memory, queries = files
    result = call(memory, queries, model_folder, tmp_path / "eval.json", *more)
    assert result.exit_code in (1, 2)
    assert said in result.output
