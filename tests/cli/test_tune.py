"""`whet tune`, and the settings that it writes given to the other commands."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cli_fakes import FakeEngine, Whet
from fakes import HashEmbedder

from whet.adaptation import LoraConfig, TrainConfig
from whet.config import EngineConfig
from whet.errors import InputError
from whet.evaluation import Job, Tuned
from whet.evaluation.trials import params_of
from whet.evaluation.tuning import Saved, Trial, Tried
from whet.memory import Memory
from whet.types import Example

BEST = EngineConfig(
    picks=44, noise=0.0314, lora=LoraConfig(r=4, lora_alpha=8.0, layers=0.5), train=TrainConfig(lr=0.0071, clip=0.3)
)
FOUND = Tuned(
    default=Tried(EngineConfig(), Saved(0.0812, (0.05, 0.11)), Saved(0.0791, (0.04, 0.12))),
    best=Tried(BEST, Saved(0.1103, (0.07, 0.15)), Saved(0.0995, (0.06, 0.14))),
    gain=Saved(0.0204, (-0.0011, 0.0388)),
    queries=(12, 12),
    trials=(
        Trial(params_of(EngineConfig()), 0.0812, False),
        Trial(params_of(BEST), 0.1103, False),
        Trial(params_of(EngineConfig(picks=5)), 0.01, True),
    ),
)


@pytest.fixture
def texts(tmp_path: Path, quick: None) -> Path:  # noqa: ARG001
    """A memory of texts that are long enough to be held out."""
    folder = tmp_path / "texts.whet"
    with Memory.create(folder, embedder=HashEmbedder()) as opened:
        opened.add(Example(f"def area_{i}(width, height):\n    return width * height * {i}\n" * 3) for i in range(8))
    return folder


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tiny_llama) -> list[dict]:
    """Tuning replaced: gives FOUND, and notes what it was asked."""
    asked: list[dict] = []

    def tune(_model: object, _memory: object, **options: object) -> Tuned:
        asked.append(options)
        return FOUND

    monkeypatch.setattr("whet.evaluation.tune", tune)
    monkeypatch.setattr("whet.models.LanguageModel.from_pretrained", lambda _: tiny_llama)
    return asked


def test_settings_and_savings_are_shown_within_80_columns(whet: Whet, memory: Path, found: list[dict]) -> None:
    result = whet("tune", "--memory", memory, "--trials", 9, "--queries", 10, "--seed", 3)
    assert result.exit_code == 0, result.output
    (options,) = found
    assert {name: options[name] for name in ("trials", "queries", "seed")} == {"trials": 9, "queries": 10, "seed": 3}
    assert options["file"] == memory.with_name(f"{memory.name}.tune.trials.sqlite")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["learning", "rate", "0.003", "0.0071"] in lines
    assert ["share", "of", "layers", "1", "0.5"] in lines
    assert ["clip", "gradients", "at", "none", "0.3"] in lines
    assert "default 8.1 7.9 4.0 to 12.0".split() in lines  # noqa: SIM905
    assert "best − default +2.9 +2.0 −0.1 to +3.9".split() in lines  # noqa: SIM905
    assert "cannot be told from the default" in result.stdout
    table = result.stdout.partition("settings: ")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_a_default_that_is_best_is_shown_once(whet: Whet, memory: Path, found: list[dict], monkeypatch) -> None:
    nothing = replace(FOUND, best=FOUND.default, gain=Saved(0.0, (0.0, 0.0)))
    monkeypatch.setattr("whet.evaluation.tune", lambda *_, **__: nothing)
    shown = whet("tune", "--memory", memory).stdout
    assert "No trial saves more on the tuning half than the default settings" in shown
    assert "best" not in shown.partition("No trial")[0]
    assert not found


def test_the_best_settings_are_written(whet: Whet, memory: Path, found: list[dict], tmp_path: Path) -> None:
    out = tmp_path / "new" / "best.json"
    assert whet("tune", "--memory", memory, "--out", out).exit_code == 0
    assert EngineConfig.from_json(out.read_text()) == BEST
    assert found[0]["file"] == out.with_name("best.trials.sqlite")


@pytest.mark.usefixtures("found")
def test_json_holds_all_trials(whet: Whet, memory: Path) -> None:
    shown = json.loads(whet("tune", "--memory", memory, "--json").stdout)
    assert shown["best"]["config"]["picks"] == 44
    assert shown["gain"] == {"mean": 0.0204, "ci95": [-0.0011, 0.0388]}
    assert [trial["pruned"] for trial in shown["trials"]] == [False, False, True]
    assert shown["verdict"] == FOUND.verdict()


@pytest.mark.usefixtures("found")
def test_an_interruption_says_where_the_trials_are(whet: Whet, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> Tuned:
        raise KeyboardInterrupt

    monkeypatch.setattr("whet.evaluation.tune", interrupt)
    result = whet("tune", "--memory", memory)
    assert result.exit_code == 130
    assert f"trials so far are in {memory}.tune.trials.sqlite; the same command goes on" in result.stderr
    assert not memory.with_name(f"{memory.name}.tune.json").exists()


@pytest.mark.usefixtures("found")
def test_without_optuna_one_line_says_how_to_install_it(
    whet: Whet, texts: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whet.evaluation.tuning import tune

    monkeypatch.setattr("whet.evaluation.tune", tune)
    monkeypatch.setitem(sys.modules, "optuna", None)
    result = whet("tune", "--memory", texts, "--model", model_folder)
    assert result.exit_code == 1
    assert result.stderr == "error: tuning needs Optuna: `pip install 'whet[tune]'`.\n"


def test_a_real_model_is_tuned_and_asked_with_what_was_found(whet: Whet, texts: Path, model_folder: Path) -> None:
    command = ("tune", "--memory", texts, "--model", model_folder, "--trials", 2, "--queries", 4)
    result = whet(*command)
    assert result.exit_code == 0, result.output
    assert whet(*command).stdout == result.stdout
    out = texts.with_name("texts.whet.tune.json")
    answer = whet(
        "ask", "def area_", "--memory", texts, "--model", model_folder, "--config", out, "--max-tokens", 3, "--json"
    )
    assert answer.exit_code == 0, answer.output
    assert len(json.loads(answer.stdout)["picks"]) == EngineConfig.from_json(out.read_text()).picks


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "best.json"
    path.write_text(BEST.to_json())
    return path


def test_ask_takes_the_settings_of_a_file_and_what_is_given_besides_comes_first(
    whet: Whet, memory: Path, settings: Path, engine: FakeEngine
) -> None:
    assert whet("ask", "hello", "--memory", memory, "--config", settings).exit_code == 0
    assert engine.config == BEST
    whet("ask", "hello", "--memory", memory, "--picks", 20, "--fresh", "--config", settings)
    assert engine.config == replace(BEST, picks=20, reuse=None)


def test_what_the_file_turns_off_is_off(whet: Whet, memory: Path, tmp_path: Path, engine: FakeEngine) -> None:
    off = replace(BEST, guard=False, reuse=None, alpha=0.3, seed=7)
    (tmp_path / "off.json").write_text(off.to_json())
    assert whet("ask", "hello", "--memory", memory, "--config", tmp_path / "off.json").exit_code == 0
    assert engine.config == off
    assert engine.asked[0][2].seed == 7


def test_run_takes_them_too(whet: Whet, memory: Path, settings: Path, engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"text": "one"}\n')
    out = tmp_path / "answers.jsonl"
    assert (
        whet("run", tmp_path / "queries.jsonl", "--out", out, "--memory", memory, "--config", settings).exit_code == 0
    )
    assert engine.config == BEST


def test_eval_takes_them_too(
    whet: Whet, memory: Path, settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []

    def measure_all(job: Job, *_: object, **__: object) -> list[object]:
        jobs.append(job)
        raise InputError("enough")

    monkeypatch.setattr("whet.evaluation.measure_all", measure_all)
    (tmp_path / "queries.txt").write_text("Something about rain and snow.")
    command = ("eval", "language", "--memory", memory, "--queries", tmp_path / "queries.txt", "--config", settings)
    for more in ((), ("--picks", "5", "--rank", 2, "--lr", 0.5)):
        assert whet(*command, *more).exit_code == 1
    plain, changed = jobs
    assert plain.config == replace(BEST, reuse=None)
    assert (plain.settings.picks, plain.settings.noise) == ((44,), (0.0314,))
    assert changed.settings.picks == (5,)
    assert changed.config.lora == replace(BEST.lora, r=2)
    assert changed.config.train == replace(BEST.train, lr=0.5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"lr": 1}', "lr is no setting. Did you mean train.lr?"),
        ("picks = 3", "not JSON"),
        ('{"picks": 0}', "picks=0"),
    ],
)
def test_a_file_with_a_mistake_is_named(
    whet: Whet, memory: Path, tmp_path: Path, engine: FakeEngine, content: str, said: str
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    result = whet("ask", "hello", "--memory", memory, "--config", path)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
    assert str(path) in result.stderr
    assert engine.config is None
