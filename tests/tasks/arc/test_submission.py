from __future__ import annotations

import json
from pathlib import Path

import pytest

from whet.errors import RecordError, StoreError
from whet.tasks.arc import as_grid, attempts, read_submission, write_submission

ONE, TWO, THREE = (as_grid([[number]]) for number in (1, 2, 3))


def test_a_submission_is_kaggles_format_and_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "submission.json"
    write_submission(path, {"b": (attempts(ONE, TWO), attempts(THREE, ONE)), "a": (attempts(TWO, TWO),)})
    assert json.loads(path.read_text()) == {
        "a": [{"attempt_1": [[2]], "attempt_2": [[2]]}],
        "b": [{"attempt_1": [[1]], "attempt_2": [[2]]}, {"attempt_1": [[3]], "attempt_2": [[1]]}],
    }
    back = read_submission(path)
    assert [[grid.tolist() for grid in tried] for tried in back["b"]] == [[[[1]], [[2]]], [[[3]], [[1]]]]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_attempts_are_the_first_two_and_what_is_missing_is_a_square_of_zeros() -> None:
    assert [grid.tolist() for grid in attempts(ONE, TWO, THREE)] == [[[1]], [[2]]]
    assert [grid.tolist() for grid in attempts(ONE)] == [[[1]], [[0, 0], [0, 0]]]
    assert [grid.tolist() for grid in attempts()] == [[[0, 0], [0, 0]]] * 2


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "submission.json"
    write_submission(path, {"a": (attempts(ONE),)})
    before = path.read_bytes()
    with pytest.raises(StoreError, match="cannot be written"):
        write_submission(path / "below", {"a": (attempts(TWO),)})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is no submission"),
        ('{"a": []}', "a has no list of answers"),
        ('{"a": {"attempt_1": [[1]], "attempt_2": [[1]]}}', "a has no list of answers"),
        ('{"a": [{"attempt_1": [[1]]}]}', r"a\[0\] has no 'attempt_2'"),
        ('{"a": [[[1]]]}', r"a\[0\] has no 'attempt_1'"),
        ('{"a": [{"attempt_1": [[1]], "attempt_2": [[1], [2, 10]]}]}', r"a\[0\].attempt_2 is ragged"),
        ('{"a": [{"attempt_1": [[10]], "attempt_2": [[1]]}]}', r"a\[0\].attempt_1\[0\]\[0\] is 10"),
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ('{"a": ', "no valid JSON"),
    ],
)
def test_a_wrong_submission_is_refused_with_the_place(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "submission.json"
    path.write_text(content)
    with pytest.raises(RecordError, match=message):
        read_submission(path)


def test_a_missing_submission_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        read_submission(tmp_path / "none.json")
