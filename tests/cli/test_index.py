"""`whet index`: what is stored, what is said, and going on after an interruption."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli_fakes import Whet
from fakes import HashEmbedder

from whet.memory import Memory

pytestmark = pytest.mark.usefixtures("quick")


def _records(path: Path, count: int) -> Path:
    lines = (json.dumps({"text": f"record {i} of {path.name}", "split": "ab"[i % 2]}) + "\n" for i in range(count))
    path.write_bytes(gzip.compress("".join(lines).encode()) if path.suffix == ".gz" else "".join(lines).encode())
    return path


def _size(folder: Path) -> int:
    with Memory.open(folder) as memory:
        return len(memory)


def test_files_folders_and_records_are_stored_and_counted(whet: Whet, tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "a.py").write_text("def a():\n    return 1\n")
    (folder / "picture.bin").write_bytes(b"\0\1")
    (folder / "empty.txt").write_text(" \n")
    _records(folder / "r.jsonl", 4)
    records = _records(tmp_path / "s.jsonl.gz", 6)
    store = tmp_path / "my notes"
    result = whet("index", folder, records, "--memory", store, "--where", "split=a")
    assert result.exit_code == 0
    assert _size(store) == 1 + 2 + 3
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["new", "duplicates", "empty", "skipped", "in", "all", "seconds"]
    assert lines[1].split()[:5] == ["6", "0", "1", "1", "6"]
    assert lines[2].startswith("skipped ")
    assert "picture.bin" in lines[2]
    assert lines[-1] == f"next: whet ask \"def area(\" --memory '{store}'"
    again = whet("index", folder, records, "--memory", store, "--where", "split=a")
    assert again.stdout.splitlines()[1].split()[:5] == ["0", "6", "1", "1", "6"]


def test_a_bad_record_is_an_error_or_skipped_as_told(whet: Whet, tmp_path: Path) -> None:
    path = _records(tmp_path / "r.jsonl", 2)
    path.write_text(path.read_text() + "not json\n" + json.dumps({"text": "last"}) + "\n")
    result = whet("index", path, "--memory", tmp_path / "m")
    assert result.exit_code == 1
    assert f"{path}:3" in result.stderr
    assert _size(tmp_path / "m") == 2
    result = whet("index", path, "--memory", tmp_path / "m", "--on-error", "skip")
    assert result.exit_code == 0
    assert f"{path}:3" in result.stdout
    assert _size(tmp_path / "m") == 3


def test_only_the_first_reasons_are_listed(whet: Whet, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("no\n" * 13)
    lines = whet("index", path, "--memory", tmp_path / "m", "--on-error", "skip").stdout.splitlines()
    assert len([line for line in lines if line.startswith("skipped")]) == 11
    assert lines[-1] == "skipped 3 more"  # and no next step with an empty memory


def test_where_must_have_a_field_once(whet: Whet, tmp_path: Path) -> None:
    path = _records(tmp_path / "r.jsonl", 1)
    for where in (["--where", "split"], ["--where", "=a"], ["--where", "split=a", "--where", "split=b"]):
        result = whet("index", path, "--memory", tmp_path / "m", *where)
        assert result.exit_code == 2
        assert "--where" in result.stderr
    assert not (tmp_path / "m").exists()


def test_interrupted_it_says_what_is_stored_and_goes_on(
    whet: Whet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _records(tmp_path / "r.jsonl", 600)
    embed = HashEmbedder.embed
    calls = 0

    def interrupted(self: HashEmbedder, texts: Sequence[str], *, progress: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        assert callable(progress)
        return embed(self, texts, progress=progress)

    monkeypatch.setattr(HashEmbedder, "embed", interrupted)
    result = whet("index", path, "--memory", tmp_path / "m")
    stored = _size(tmp_path / "m")
    assert 0 < stored < 600
    assert result.exit_code == 130
    assert f"interrupted: {stored} examples are stored" in result.stderr
    again = whet("index", path, "--memory", tmp_path / "m")
    assert again.stdout.splitlines()[1].split()[:2] == [str(600 - stored), str(stored)]
