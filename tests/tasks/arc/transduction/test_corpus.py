import gzip
import json

import pytest

from whet.errors import RecordError, StoreError
from whet.tasks.arc.transduction.corpus import training_tasks


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name in ("a", "b"):
        pair = {"input": [[1, 2]], "output": [[3]]}
        (folder / f"{name}.json").write_text(json.dumps({"train": [pair, pair], "test": [pair]}))
    return folder


def test_pairs_of_a_set_and_of_a_file_come_together(folder, tmp_path):
    large = {"input": [[0] * 31], "output": [[5]]}
    lines = [{"id": name, "pairs": [large, {"input": [[4]], "output": [[5]]}]} for name in ("a", "unknown")]
    text = "\n".join(map(json.dumps, lines))
    (tmp_path / "more.jsonl").write_text(text)
    (tmp_path / "more.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    for more in (tmp_path / "more.jsonl", tmp_path / "more.jsonl.gz"):
        found = training_tasks(folder, more)
        assert {name: [(a.tolist(), b.tolist()) for a, b in pairs] for name, pairs in found.items()} == {
            "a": [([[1, 2]], [[3]])] * 2 + [([[4]], [[5]])],
            "b": [([[1, 2]], [[3]])] * 2,
        }


def test_what_must_never_be_trained_on_is_left_out(folder):
    assert set(training_tasks(folder, never=["a", "x"])) == {"b"}


def test_a_line_that_is_no_task_is_named(folder, tmp_path):
    more = tmp_path / "more.jsonl"
    more.write_text('{"id": "a", "pairs": []}\n{"id": "b", "pairs": [{"input": [[11]], "output": [[1]]}]}\n')
    with pytest.raises(RecordError, match=r"more\.jsonl, line 2"):
        training_tasks(folder, more)


def test_a_file_that_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(StoreError, match=r"none\.jsonl"):
        training_tasks(folder, tmp_path / "none.jsonl")
