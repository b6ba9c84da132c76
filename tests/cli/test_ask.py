"""`whet ask`: what the options do, and what is printed."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_fakes import TEXTS, FakeEngine, Whet, some_answer

from whet.cli.ask import ask
from whet.cli.run import run
from whet.config import EngineConfig
from whet.control import Budget
from whet.decoding import Sampling
from whet.memory import Memory
from whet.models import WHET_BASE


@pytest.mark.parametrize("command", [ask, run])
def test_the_defaults_are_those_of_the_library(command: Callable[..., None]) -> None:
    default = {name: p.default for name, p in inspect.signature(command).parameters.items()}
    config, sampling = EngineConfig(), Sampling()
    assert default["model"] == WHET_BASE
    for name in ("picks", "selector", "noise", "alpha", "seed"):
        assert default[name] == getattr(config, name)
    for name in ("max_tokens", "temperature", "top_p", "seed"):
        assert default[name] == getattr(sampling, name)


def test_without_options_the_engine_gets_the_defaults(whet: Whet, memory: Path, engine: FakeEngine) -> None:
    assert whet("ask", "def area(", "--memory", memory).exit_code == 0
    assert engine.model == WHET_BASE
    assert engine.config == EngineConfig()
    assert engine.asked == [("def area(", Budget(), Sampling())]


def test_every_option_reaches_the_engine(whet: Whet, memory: Path, engine: FakeEngine) -> None:
    options = (
        "--model m --picks 7 --selector nearest --noise 0.5 --alpha 0.3 --fresh --no-guard --seconds 2.5 --steps 3 "
        "--max-tokens 9 --temperature 0.8 --top-p 0.9 --stop END --stop STOP --seed 5"
    )
    assert whet("ask", "hello", "--memory", memory, *options.split()).exit_code == 0
    assert engine.model == "m"
    assert engine.config == EngineConfig(
        picks=7, selector="nearest", noise=0.5, alpha=0.3, reuse=None, guard=False, seed=5
    )
    sampling = Sampling(max_tokens=9, temperature=0.8, top_p=0.9, stop=("END", "STOP"), seed=5)
    assert engine.asked == [("hello", Budget(seconds=2.5, steps=3), sampling)]


@pytest.mark.parametrize("wrong", ["--picks 0", "--selector none", "--seconds 0", "--top-p 2", "--max-tokens 0"])
def test_an_option_out_of_range_is_an_error_before_anything_is_loaded(
    wrong: str, whet: Whet, memory: Path, engine: FakeEngine
) -> None:
    result = whet("ask", "hello", "--memory", memory, *wrong.split())
    assert result.exit_code == 1
    assert result.stderr.startswith("error: " + wrong[2:].split()[0].replace("-", "_"))
    assert engine.config is None


def test_a_dash_reads_the_prompt_without_its_last_line_end(whet: Whet, memory: Path, engine: FakeEngine) -> None:
    whet("ask", "-", "--memory", memory, input="two\nlines\n\n")
    assert engine.asked[0][0] == "two\nlines\n"


@pytest.mark.usefixtures("engine")
def test_the_text_comes_first_and_then_how_it_came_about(whet: Whet, memory: Path) -> None:
    lines = [line.rstrip() for line in whet("ask", "def area(", "--memory", memory).stdout.splitlines()]
    assert lines == [
        "def area( and so on",
        "",
        "#  variance  cosine  source       text",
        "1    0.2500   0.875  shapes.py:3  def area_0(width, height): return width *…",
        "",
        "plan   adapt, 1 picks, 1 steps: all 1 steps that were asked for",
        "guard  skipped: no pick could be held out",
        "cost   1.75 s (train 1.25, generate 0.50); tokens: train 1,200, generated 8;",
        "       1.5e+09 FLOPs",
        "note   something to know",
    ]


@pytest.mark.usefixtures("engine")
def test_json_is_the_answer_and_nothing_else(whet: Whet, memory: Path) -> None:
    record = json.loads(whet("ask", "def area(", "--memory", memory, "--json").stdout)
    answer = some_answer()
    assert record["picks"][0] == {
        "example": {
            "id": answer.picks[0].example.id,
            "target": TEXTS[0],
            "input": "",
            "meta": {"path": "shapes.py", "line": 3},
        },
        "similarity": 0.875,
        "variance": 0.25,
    }
    assert record["plan"] == vars(answer.plan)
    assert record["cost"] == vars(answer.cost)
    assert record["guard"] == vars(answer.guard)
    assert {name: record[name] for name in ("text", "uncertainty", "losses", "adapter_id", "notes")} == {
        "text": answer.text,
        "uncertainty": [1.0, 0.25],
        "losses": [],
        "adapter_id": None,
        "notes": ["something to know"],
    }


def test_a_real_model_learns_and_its_adapter_is_reused(whet: Whet, memory: Path, model_folder: Path) -> None:
    model = ("--model", model_folder, "--no-guard")  # it learns nothing that a guard would be sure of
    arguments = ("ask", "def area_3(", "--memory", memory, *model, "--picks", 4, "--max-tokens", 8)
    first = json.loads(whet(*arguments, "--json").stdout)
    assert first["plan"]["rung"] == "adapt"
    assert len(first["picks"]) == 4
    assert {pick["example"]["target"] for pick in first["picks"]} <= set(TEXTS)
    second = json.loads(whet(*arguments, "--json").stdout)
    assert second["plan"]["rung"] == "reuse"
    assert second["text"] == first["text"]
    assert second["adapter_id"] == first["adapter_id"]
    fresh = json.loads(whet(*arguments, "--fresh", "--json").stdout)
    assert fresh["plan"]["rung"] == "adapt"
    assert fresh["text"] == first["text"]


def test_index_and_ask_as_a_user_calls_them(tmp_path: Path, model_folder: Path) -> None:
    (tmp_path / "shapes.py").write_text("".join(TEXTS))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from whet.cli import main; main()", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)

    indexed = call("index", "shapes.py", "--memory", "m")
    assert (indexed.returncode, indexed.stderr) == (0, "")
    asked = call("ask", "def area(", "--memory", "m", "--model", model_folder, "--picks", 2, "--json")
    assert (asked.returncode, asked.stderr) == (0, "")
    with Memory.open(tmp_path / "m") as memory:
        assert all(pick["example"]["id"] in memory for pick in json.loads(asked.stdout)["picks"])
