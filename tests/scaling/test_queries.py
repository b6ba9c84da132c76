"""Reading the queries of a batch: ids, and what is wrong with a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from whet.errors import InputError, RecordError
from whet.scaling import read_queries


def _file(folder: Path, content: str | bytes) -> Path:
    path = folder / "queries.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_query_without_an_id_has_its_line_number_and_blank_lines_count(tmp_path: Path) -> None:
    path = _file(tmp_path, '{"text": "a", "id": "x", "level": 3}\n\n{"text": "b"}\n{"id": 7, "text": "c\u2028d"}')
    queries = read_queries(path)
    assert [(query.id, query.text) for query in queries] == [("x", "a"), (3, "b"), (7, "c\u2028d")]
    assert queries[0].record == {"text": "a", "id": "x", "level": 3}


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    assert read_queries(_file(tmp_path, b'\xef\xbb\xbf{"text": "a"}'))[0].text == "a"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        (b'{"text": "\xff"}', "not JSON in UTF-8"),
        ('{"text": "\\ud800"}', "surrogates"),
        ('{"text": "a", "level": NaN}', "JSON"),
        ('["a"]', "a JSON list, not an object"),
        ('{"prompt": "a"}', "it has prompt"),
        ("{}", "no field"),
        ('{"text": " "}', "not blank"),
        ('{"text": 3}', "a string"),
        ('{"text": "a", "id": true}', "`id` is true"),
        ('{"text": "a", "id": null}', "`id` is null"),
        ('{"text": "a", "id": [1]}', "`id` is [1]"),
        ('{"text": "again", "id": "x"}', "the id 'x' is that of line 1 too"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_wrong_line_is_named_by_file_and_line(line: str | bytes, reason: str, tmp_path: Path) -> None:
    line = line if isinstance(line, bytes) else line.encode()
    path = _file(tmp_path, b'{"text": "first", "id": "x"}\n' + line + b"\n")
    with pytest.raises(RecordError) as caught:
        read_queries(path)
    assert f"{path}:2: " in str(caught.value)
    assert reason in str(caught.value)


def test_a_file_that_is_missing_or_empty_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_queries(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="holds no query"):
        read_queries(_file(tmp_path, "\n\n"))
