"""`whet arc`: tasks are shown without their answers, and submissions are scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from arc_models import save_writer
from cli_fakes import Whet
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from whet.cli.arc_show import print_results
from whet.models.grid_net import GridNet, GridNetConfig, save_grid_net
from whet.tasks.arc import ArcTask, Pair, TaskResult, as_grid


def task(*, answer: int) -> dict[str, Any]:
    train = [{"input": [[1, 2]], "output": [[2, 1]]}]
    return {"train": train, "test": [{"input": [[3, 4]], "output": [[answer, answer, answer]]}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tasks."""
    root = tmp_path / "tasks"
    root.mkdir()
    for name, answer in (("first", 8), ("second", 9)):
        (root / f"{name}.json").write_text(json.dumps(task(answer=answer)))
    return root


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    """The first task right, the second not answered."""
    path = tmp_path / "submission.json"
    path.write_text(json.dumps({"first": [{"attempt_1": [[0]], "attempt_2": [[8, 8, 8]]}]}))
    return path


def test_a_task_is_drawn_without_its_answer(whet: Whet, folder: Path) -> None:
    (folder / "bad.json").write_text("{}")
    (folder / "second.json").rename(folder / "[red]\x1b[2J.json")
    result = whet("arc", "show", "[red]\x1b[2J", "first", "--folder", folder)
    assert result.exit_code == 0
    assert result.stdout.startswith("[red]�[2J\n")
    assert "\nfirst\n" in result.stdout
    assert "1 2 → 2 1" in result.stdout
    assert "test input 1, 1×2\n3 4\n" in result.stdout
    assert "8" not in result.stdout
    assert result.stderr.startswith("left out: ")
    assert "bad.json: this is no ARC task" in result.stderr


def test_a_task_as_json_is_arcs_format_without_outputs(whet: Whet, folder: Path) -> None:
    shown = json.loads(whet("arc", "show", "first", "--folder", folder, "--json").stdout)
    assert shown == {"first": {"train": task(answer=8)["train"], "test": [{"input": [[3, 4]]}]}}


def test_a_score_is_a_table_with_intervals(whet: Whet, folder: Path, submission: Path) -> None:
    result = whet("arc", "score", submission, "--folder", folder)
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if line.startswith("score"))
    assert row.split()[-6:] == ["2", "1", "50.0", "9.5", "to", "90.5"]
    assert "not answered, so wrong (1): second" in result.stdout
    assert max(map(len, result.stdout.splitlines()[1:])) <= 80


def test_a_score_as_json_has_every_task(whet: Whet, folder: Path, submission: Path) -> None:
    told = json.loads(whet("arc", "score", submission, "--folder", folder, "--json").stdout)
    assert told["score"]["points"] == 1
    assert told["by_task"]["first"]["right"] == [2]
    assert told["missing"] == ["second"]


def test_errors_are_one_line_that_says_what_to_do(whet: Whet, folder: Path, submission: Path) -> None:
    for arguments, message in (
        (("show", "nobody", "--folder", folder), "error: there is no task 'nobody' among the 2"),
        (("score", folder / "first.json", "--folder", folder), "train[0] has no 'attempt_1'"),
    ):
        result = whet("arc", *arguments)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    for wrong in ((), ("--set", "arc1-training", "--folder", folder), ("--set", "arc3")):
        assert whet("arc", "score", submission, *wrong).exit_code == 2
        assert whet("arc", "show", "x", *wrong).exit_code == 2


def test_the_sets_of_arc_agi_1_have_short_names(whet: Whet) -> None:
    long, short = (whet("arc", "show", "00576224", "--set", name) for name in ("arc1-evaluation", "evaluation"))
    assert long.exit_code == 0
    assert long.stdout == short.stdout


def test_a_folder_may_have_the_name_of_a_set(whet: Whet, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.rename(folder.with_name("arc1-training"))
    monkeypatch.chdir(folder.parent)
    assert whet("arc", "show", "first", "--folder", "arc1-training").exit_code == 0


def test_what_kept_a_way_from_more_is_said_once_for_all_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    tasks = [ArcTask(f"task {n}", (Pair(as_grid([[1]]), as_grid([[2]])),), (as_grid([[1]]),)) for n in range(7)]
    notes = [{"a": "no luck"} | ({"b": "too long"} if n == 3 else {}) for n in range(7)]
    print_results(tasks, {t.id: TaskResult(t.id, (), {"notes": n}) for t, n in zip(tasks, notes, strict=True)})
    assert capsys.readouterr().out.splitlines()[-2:] == ["a, 7 tasks: no luck", "b, task 3: too long"]


def test_tasks_are_solved_and_reported(whet: Whet, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("arc", "solve", "--folder", folder, "--out", out, "--limit", "1", "--seconds-per-task", "0")
    result = whet(*asked)
    assert result.exit_code == 0, result.output
    assert "0 of 1 tasks have a candidate" in result.stdout
    assert json.loads((out / "submission.json").read_text()).keys() == {"first"}
    assert json.loads(whet(*asked, "--json").stdout)["first"]["candidates"] == []
    assert whet("arc", "report", "--folder", folder, "--out", out).exit_code == 0
    assert "test input 1: wrong" in (out / "report.html").read_text()
    assert whet("arc", "report", "--folder", folder, "--out", out, "--blind").exit_code == 0
    assert "wrong" not in (out / "report.html").read_text()


def test_a_report_without_results_says_what_to_do(whet: Whet, folder: Path, tmp_path: Path) -> None:
    result = whet("arc", "report", "--folder", folder, "--out", tmp_path / "nothing")
    assert result.exit_code == 1
    assert "whet arc solve" in result.stderr


def test_a_task_that_is_not_there_is_named(whet: Whet, folder: Path, tmp_path: Path) -> None:
    result = whet("arc", "solve", "third", "--folder", folder, "--out", tmp_path)
    assert result.exit_code == 1
    assert "no task 'third'" in result.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--way", "magic"), "'magic' is none of induction"),
        (("--server", "http://localhost:1/v1"), "give both or none"),
        (("--way", "synthesis"), "synthesis needs a server"),
        (("--way", "language"), "language needs a causal language model"),
    ],
)
def test_ways_that_cannot_be_tried_are_refused(
    whet: Whet, folder: Path, tmp_path: Path, given: tuple[str, ...], told: str
) -> None:
    result = whet("arc", "solve", "--folder", folder, "--out", tmp_path / "out", *given)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def writes_eight(tmp_path: Path) -> Path:
    return save_writer(tmp_path / "model", 8, context=64)


def test_a_language_model_solves_resumes_reports_and_is_scored(
    whet: Whet, folder: Path, writes_eight: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = ("arc", "solve", "--folder", folder, "--out", out, "--way", "language", "--seconds-per-task", "200")
    result = whet(*asked, "--model", writes_eight)
    assert result.exit_code == 0, result.output
    assert "language model, 0 steps of practice" in result.stdout
    assert "2 of 2 tasks have a candidate" in result.stdout
    lines = (out / "results.jsonl").read_text()
    told = json.loads(whet(*asked, "--model", writes_eight, "--json").stdout)
    assert (out / "results.jsonl").read_text() == lines  # nothing is solved again
    assert told.keys() == {"first", "second"}
    candidate = told["first"]["candidates"][0]
    assert candidate["outputs"] == [[[8]]]
    assert candidate["votes"][0] >= 8
    assert whet("arc", "report", "--folder", folder, "--out", out).exit_code == 0
    assert f"votes of views: {candidate['votes'][0]} of 16" in (out / "report.html").read_text()
    assert whet("arc", "score", out / "submission.json", "--folder", folder).exit_code == 0
    weights = load_file(writes_eight / "model.safetensors")
    save_file(
        {name: 2 * tensor for name, tensor in weights.items()}, writes_eight / "model.safetensors", {"format": "pt"}
    )
    refused = whet(*asked, "--model", writes_eight)
    assert refused.exit_code == 1
    assert "name another folder" in refused.stderr


def test_a_model_that_cannot_write_grids_is_refused_before_a_task_is_begun(
    whet: Whet, folder: Path, writes_eight: Path, tmp_path: Path
) -> None:
    words = Tokenizer(WordLevel({"word": 0, "<end>": 1, "?": 2}, unk_token="?"))
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>").save_pretrained(writes_eight)
    out = tmp_path / "out"
    result = whet("arc", "solve", "--folder", folder, "--out", out, "--model", writes_eight)
    assert result.exit_code == 1
    assert "error: the tokenizer writes '0' as the tokens" in result.stderr
    assert not out.exists()


def test_tasks_that_the_net_was_trained_on_are_told(whet: Whet, folder: Path, tmp_path: Path) -> None:
    net = tmp_path / "net.safetensors"
    save_grid_net(GridNet(GridNetConfig(16, 2, 2, 16)), net, tasks='["first", "elsewhere"]')
    asked = ("arc", "solve", "--folder", folder, "--net", net, "--out", tmp_path / "out", "--seconds-per-task", "0")
    assert "trained on 1 of these tasks" in whet(*asked).stderr
    assert "trained on" not in whet(*asked, "--way", "induction").stderr
