"""The file of answers: torn ends, other people's files, a second writer, a full disk."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from whet.errors import InputError, RecordError, StoreError
from whet.scaling import BatchQuery, open_answers


def _query(id: str | int, text: str = "t") -> BatchQuery:
    return BatchQuery(id, text, {"id": id, "text": text})


def _write(path: Path, *ids: str | int) -> None:
    with open_answers(path) as answers:
        for id in ids:
            answers.append(_query(id), {"text": f"answer ü {id}"})


def test_an_answer_is_a_line_and_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    _write(path, "a", 2)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"id": "a", "text": "answer ü a", "query": {"id": "a", "text": "t"}},
        {"id": 2, "text": "answer ü 2", "query": {"id": 2, "text": "t"}},
    ]
    with open_answers(path) as answers:
        assert len(answers) == 2
        assert answers.holds(_query("a"))
        assert answers.holds(_query(2))
        assert not answers.holds(_query("2"))


def test_wherever_the_last_line_is_torn_it_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    _write(path, "a", "b")
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    for cut in range(first, len(content)):
        path.write_bytes(content[:cut])
        with open_answers(path) as answers:
            assert answers.holds(_query("a"))
            assert not answers.holds(_query("b"))
            answers.append(_query("b"), {"text": "answer ü b"})
        assert path.read_bytes() == content


def test_the_answer_to_another_query_of_that_id_is_an_error(tmp_path: Path) -> None:
    _write(tmp_path / "answers.jsonl", "a")
    with (
        open_answers(tmp_path / "answers.jsonl") as answers,
        pytest.raises(InputError, match="another query"),
    ):
        answers.holds(_query("a", "something else"))


@pytest.mark.parametrize("content", ['{"id": 1, "text": "a query"}\n', "notes\n", "notes without an end", "[]\n", "\n"])
def test_a_file_of_something_else_is_left_as_it_is(content: str, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text(content)
    with pytest.raises(RecordError, match="nothing was written"), open_answers(path):
        pass
    assert path.read_text() == content


def test_two_runs_cannot_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with open_answers(path), pytest.raises(StoreError, match="another run"), open_answers(path):
        pass
    _write(path, "a")  # released with the first


def test_a_full_disk_loses_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    _write(path, "a")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limits[1]))
    try:
        with pytest.raises(StoreError, match="cannot be written"):
            _write(path, "b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    _write(path, "c")
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["a", "c"]


def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "answers.jsonl"):
        with pytest.raises(StoreError, match="cannot be written"), open_answers(path):
            pass
