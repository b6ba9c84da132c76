"""Examples from text files, JSONL and Parquet; what cannot be read is named by file, line and reason."""

from __future__ import annotations

import datetime
import gzip
import json
import os
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from whet.errors import InputError, MissingExtraError, RecordError
from whet.memory import chunk_text, read_files, read_jsonl, read_parquet
from whet.types import Example


def _lines(path: Path, *records: object) -> Path:
    path.write_bytes(b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records))
    return path


def test_jsonl_records_keep_their_other_fields(tmp_path: Path) -> None:
    path = _lines(
        tmp_path / "a.jsonl",
        {"text": "plain", "domain": "x", "n": 3},
        {"input": "2+2=", "target": "4", "tags": ["sum", None]},
        {"text": "both", "input": "is meta"},
    )
    examples = list(read_jsonl(path))
    assert examples == [Example("plain"), Example("4", "2+2="), Example("both")]
    where = {"path": str(path)}
    assert [example.meta for example in examples] == [
        where | {"line": 1, "domain": "x", "n": 3},
        where | {"line": 2, "tags": ["sum", None]},
        where | {"line": 3, "input": "is meta"},
    ]


def test_jsonl_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    texts = ["a\u2028b", "c\u0085d", "e\x0bf\x0cg\x1ch", "i\u2029j", "😀 \u0000 \r end"]
    path = tmp_path / "a.jsonl"
    path.write_bytes("".join(json.dumps({"text": t}, ensure_ascii=False) + "\r\n" for t in texts[:4]).encode())
    with path.open("ab") as file:
        file.write(b"\n  \n" + json.dumps({"text": texts[4]}).encode())  # No line feed at the end.
    assert [example.text for example in read_jsonl(path)] == texts
    assert [example.meta["line"] for example in read_jsonl(path)] == [1, 2, 3, 4, 7]


def test_jsonl_may_be_gzipped_and_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'\xef\xbb\xbf{"text": "one"}\n{"text": "two"}\n'))
    assert [example.text for example in read_jsonl(path)] == ["one", "two"]


def test_where_keeps_records_by_the_value_of_fields(tmp_path: Path) -> None:
    path = _lines(
        tmp_path / "a.jsonl",
        {"text": "1", "split": "test", "n": 5, "ok": True},
        {"text": "2", "split": "memory", "n": 5, "ok": None},
        {"no text": "but not wanted either"},
        {"text": "4", "split": "test", "n": 6},
    )
    for where, expected in [
        ({"split": "test"}, "14"),
        ({"split": "test", "n": "5"}, "1"),
        ({"ok": "true"}, "1"),
        ({"ok": "null"}, "2"),
        ({"split": "none"}, ""),
    ]:
        assert "".join(example.text for example in read_jsonl(path, where=where)) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{not json}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'"text"', "a JSON str, not an object"),
        (b'{"txt": "a", "n": 1}', "needs `text`, or `input` and `target`; it has txt, n"),
        (b"{}", "it has none"),
        (b'{"input": "a"}', "needs `text`, or `input` and `target`; it has input"),
        (b'{"text": ["a"]}', r'`text` is \["a"\], not a string'),
        (b'{"input": null, "target": "a"}', "`input` is null, not a string"),
        (b'{"text": "a\xff"}', r"not UTF-8 \(byte 12 of the line\)"),
        (b'{"text": "ab\\ud800"}', r"half of a surrogate pair \(character 3\)"),
        (b'{"text": "unfinished', "not JSON"),
    ],
)
def test_a_bad_line_is_named_or_skipped(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n')
    reader = read_jsonl(path)
    assert next(reader).text == "before"
    with pytest.raises(RecordError, match=rf'a\.jsonl:2: .*{reason}.*on_error="skip"'):
        next(reader)
    skipped: list[str] = []
    assert [e.text for e in read_jsonl(path, on_error="skip", on_skip=skipped.append)] == ["before", "after"]
    assert len(skipped) == 1
    assert f"{path}:2: " in skipped[0]


def test_a_gzip_file_that_breaks_off_gives_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    lines = b"".join(json.dumps({"text": os.urandom(50).hex()}).encode() + b"\n" for _ in range(2000))
    path.write_bytes(gzip.compress(lines)[:60_000])
    skipped: list[str] = []
    examples = list(read_jsonl(path, on_error="skip", on_skip=skipped.append))
    assert 500 < len(examples) < 2000
    assert f"{path}:{len(examples) + 1}: the file cannot be read further" in skipped[0]
    with pytest.raises(RecordError, match="cannot be read further"):
        list(read_jsonl(path))


def test_long_texts_are_chunked_and_answers_are_not(tmp_path: Path) -> None:
    text, answer = "A sentence of words. " * 200, "Four. " * 500
    path = _lines(tmp_path / "a.jsonl", {"text": text, "n": 1}, {"input": "q", "target": answer})
    *pieces, last = read_jsonl(path, chunk=chunk_text)
    assert len(pieces) > 3
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.meta == {"path": str(path), "line": 1, "n": 1} for piece in pieces)
    assert last == Example(answer, "q")
    assert len(list(read_jsonl(path))) == 2


def test_parquet_gives_what_jsonl_gives(tmp_path: Path) -> None:
    records = [
        {"text": "one\u2028", "split": "a", "n": 1, "tags": ["x"]},
        {"text": "two", "split": "b", "n": None, "tags": []},
        {"text": "three", "split": "a", "n": 3, "tags": None},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "a.parquet")
    parquet = list(read_parquet(tmp_path / "a.parquet", where={"split": "a"}))
    jsonl = list(read_jsonl(_lines(tmp_path / "a.jsonl", *records), where={"split": "a"}))
    assert parquet == jsonl
    assert [{**e.meta, "path": ""} for e in parquet] == [{**e.meta, "path": ""} for e in jsonl]


def test_parquet_values_that_json_lacks_become_strings(tmp_path: Path) -> None:
    day = datetime.date(2024, 2, 29)
    table = pyarrow.Table.from_pylist([{"input": "q", "target": "a", "day": day, "all": [day], "raw": b"\x00"}])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    meta = next(read_parquet(tmp_path / "a.parquet", where={"day": "2024-02-29"})).meta
    assert (meta["day"], meta["all"], meta["raw"]) == ("2024-02-29", ["2024-02-29"], "b'\\x00'")


def test_parquet_rows_and_files_at_fault_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["one", None, "three"]}), path)
    with pytest.raises(RecordError, match=r"a\.parquet:2: `text` is null"):
        list(read_parquet(path))
    assert [example.text for example in read_parquet(path, on_error="skip")] == ["one", "three"]
    path.write_bytes(b"PAR1 this is no such file")
    with pytest.raises(RecordError, match="cannot be read further"):
        list(read_parquet(path))


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'whet\[parquet\]'"):
        list(read_parquet(tmp_path / "a.parquet"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as people have them."""
    root = tmp_path / "mixed"
    (root / "b" / "__pycache__").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "old.whet").mkdir()
    (root / "a.py").write_text("def f():\n    return 1\n")
    (root / "b" / "bom.txt").write_bytes(b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe\r\n\xf0\x9f\x98\x80\xe2\x80\xa8end")
    (root / "b" / "c.md.gz").write_bytes(gzip.compress(b"zipped"))
    (root / "b" / "empty").touch()
    (root / "b" / "late.bin").write_bytes(b"x" * 20_000 + b"\0")
    (root / "b" / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (root / "b" / "notgz.gz").write_bytes(b"plain")
    (root / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    (root / "records.jsonl").write_text('{"text": "record"}\n')
    for hidden in (".git/config", ".secret", "b/__pycache__/a.pyc", "old.whet/memory.sqlite", "old.whet/adapter.json"):
        (root / hidden).write_text("not to be read")
    (root / "b" / "loop").symlink_to(root, target_is_directory=True)
    (root / "gone").symlink_to(root / "nowhere")
    os.mkfifo(root / "pipe")
    return root


def test_a_folder_is_read_in_order_and_says_what_it_left_out(folder: Path) -> None:
    skipped: list[str] = []
    found = [(example.meta["path"], example.text) for example in read_files(folder, on_skip=skipped.append)]
    assert [(str(Path(path).relative_to(folder)), text) for path, text in found] == [
        ("a.py", "def f():\n    return 1\n"),
        ("records.jsonl", "record"),
        ("b/bom.txt", "Grüße\r\n😀\u2028end"),
        ("b/c.md.gz", "zipped"),
        ("b/empty", ""),
    ]
    assert {(Path(line.split(": ")[0]).name, line.split(": ")[1][:9]) for line in skipped} == {
        ("picture.png", "binary (i"),
        ("late.bin", "binary (i"),
        ("latin.txt", "not UTF-8"),
        ("notgz.gz", "Not a gzi"),
        ("gone", "neither a"),
        ("pipe", "neither a"),
    }


def test_files_are_chunked_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "code.py.gz"
    text = "".join(f"def f{n}():\n    return {n}\n\n" for n in range(200))
    path.write_bytes(gzip.compress(text.encode()))
    examples = list(read_files(path, chunk=chunk_text))
    assert "".join(example.text for example in examples) == text
    lines = text.split("\n")
    for example in examples:
        assert example.meta["kind"] == ".py"
        assert lines[example.meta["line"] - 1] == example.text.split("\n")[0]


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file or folder .*missing"):
        list(read_files(tmp_path / "missing"))
    with pytest.raises(InputError, match=r"missing\.jsonl' cannot be opened: No such file"):
        list(read_jsonl(tmp_path / "missing.jsonl"))
    with pytest.raises(InputError, match="Is a directory"):
        list(read_jsonl(tmp_path))


def test_a_file_name_that_is_no_text_can_be_printed(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.txt"
    Path(os.fsdecode(name)).write_text("hello")
    (example,) = read_files(tmp_path)
    assert example.meta["path"].encode("utf-8").endswith("\N{REPLACEMENT CHARACTER}.txt".encode())
