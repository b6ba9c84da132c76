from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from whet.errors import RecordError, StoreError
from whet.tasks.arc import TaskResult, append_result, as_grid, attempts, read_results


def result(task_id: str, colour: int = 1) -> TaskResult:
    return TaskResult(task_id, (attempts(as_grid([[colour]])),), {"seconds": 0.5})


def test_results_are_read_back_and_the_later_of_two_counts(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.jsonl"
    assert read_results(path) == {}
    for one in (result("a"), result("b", 2), result("a", 3)):
        append_result(path, one)
    back = read_results(path)
    assert list(back) == ["a", "b"]
    assert back["a"].attempts[0][0].tolist() == [[3]]
    assert back["b"].info == {"seconds": 0.5}


def test_wherever_a_kill_tears_the_last_line_the_others_are_read_and_the_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append_result(path, result("a"))
    first = path.stat().st_size
    append_result(path, result("b"))
    whole = path.read_bytes()
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        assert list(read_results(path)) == ["a"]
    for length in (first, first + 1, len(whole) - 1):
        path.write_bytes(whole[:length])
        append_result(path, result("b"))
        assert path.read_bytes() == whole


def test_a_torn_line_longer_than_what_is_read_at_a_time_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append_result(path, result("a"))
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * 200_000)
    append_result(path, result("b"))
    assert list(read_results(path)) == ["a", "b"]
    path.write_bytes(b"x" * 200_000)
    append_result(path, result("a"))
    assert path.read_bytes() == whole


@pytest.mark.parametrize("line", [b"{}", b"x", b"[1]", b'{"id": "a", "attempts": [], "info": {}}', b""])
def test_a_line_that_is_no_result_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "results.jsonl"
    append_result(path, result("a"))
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(RecordError, match=r"results\.jsonl:2 is no result"):
        read_results(path)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="'a' cannot be written"):
        append_result(tmp_path, result("a"))
    with pytest.raises(StoreError, match="cannot be read"):
        read_results(tmp_path)


def _append_many(path: Path, name: str) -> None:
    for number in range(20):
        append_result(path, result(f"{name}{number}"))


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_many, args=(path, name)) for name in "xy"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(read_results(path)) == 40
