"""`whet arc pretrain`: a net in a folder, and a run that goes on."""

from __future__ import annotations

import json
from pathlib import Path

from cli_fakes import Whet

from whet.models.grid_net import load_grid_net
from whet.tasks.arc.net_file import trained_on


def test_a_net_is_trained_written_and_trained_on(whet: Whet, tmp_path: Path) -> None:
    pair = {"input": [[1, 2]], "output": [[2, 1]]}
    task = {"train": [pair, {"input": [[3]], "output": [[3]]}, {"input": [[4]], "output": [[4]]}], "test": [pair]}
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    for name in ("kept", "secret"):
        (tasks / f"{name}.json").write_text(json.dumps(task))
    (tmp_path / "never.txt").write_text("secret\n")
    short = ("arc", "pretrain", tmp_path / "net", "--tokens", 60, "--side", 4)
    first = whet(*short, "--steps", 1, "--set", tasks, "--never", tmp_path / "never.txt")
    assert first.exit_code == 0, first.output
    assert "steps: 1, of which 1 now; mean loss of the last 1:" in first.output
    net = tmp_path / "net" / "state.safetensors"
    assert trained_on(net) == {"kept"}
    again = whet(*short, "--steps", 3, "--decay", 1)
    assert "steps: 3, of which 2 now" in again.output
    assert trained_on(net) == {"kept"}
    load_grid_net(net)
    assert (tmp_path / "net" / "plateau.safetensors").exists()
    assert "steps: 3, of which 0 now\n" in whet(*short, "--steps", 3).output


def test_more_pairs_without_their_tasks_are_refused(whet: Whet, tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text("")
    result = whet("arc", "pretrain", tmp_path / "net", "--steps", 1, "--more", tmp_path / "more.jsonl")
    assert result.exit_code == 2
    assert "--set" in result.output
