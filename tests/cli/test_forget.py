"""`whet forget`: examples go, and with them the adapters that were trained on them."""

from __future__ import annotations

import json
from pathlib import Path

from cli_fakes import TEXTS, Whet

from whet.memory import Memory
from whet.types import Example


def test_examples_and_their_adapters_are_removed(whet: Whet, memory: Path, model_folder: Path) -> None:
    asked = whet(
        "ask", "def area_3(", "--memory", memory, "--model", model_folder, "--picks", 3, "--max-tokens", 2, "--json"
    )
    picks = json.loads(asked.stdout)["picks"]
    with Memory.open(memory) as opened:
        assert len(opened.adapters) == 1
    gone = picks[0]["example"]["id"]
    result = whet("forget", gone, "--memory", memory)
    assert result.exit_code == 0
    assert result.stdout == "examples removed: 1; adapters trained on them removed: 1\n"
    with Memory.open(memory) as opened:
        assert gone not in opened
        assert len(opened) == len(TEXTS) - 1
        assert len(opened.adapters) == 0


def test_unknown_ids_are_named_and_nothing_is_removed(whet: Whet, memory: Path) -> None:
    result = whet("forget", Example(TEXTS[0]).id, "nobody", "no-one", "--memory", memory)
    assert result.exit_code == 1
    assert "nobody, no-one" in result.stderr
    with Memory.open(memory) as opened:
        assert len(opened) == len(TEXTS)
