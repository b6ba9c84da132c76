"""`whet select`: what the options do, what is printed, and how wrong ones are told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_fakes import TEXTS, Whet
from rich.cells import cell_len

from whet.memory import Memory
from whet.types import Example


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def record(whet: Whet, memory: Path, *options: object) -> dict[str, object]:
    result = whet("select", "--query", "def area(", "--memory", memory, "--json", *options)
    assert result.exit_code == 0, result.stderr
    shown: dict[str, object] = json.loads(result.stdout)
    return shown


def test_the_picks_come_first_then_what_was_passed_over_then_what_was_done(whet: Whet, memory: Path) -> None:
    result = whet("select", "--query", "def area(", "--memory", memory, "--picks", 4)
    assert result.exit_code == 0
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert max(map(cell_len, lines)) <= 80
    assert lines[0].split() == ["#", "cosine", "gain", "%", "left", "%", "taken", "%", "like", "source", "text"]
    assert [line.split()[0] for line in lines[1:5]] == ["1", "2", "3", "4"]
    assert all("shapes.py:" in line and "def area" in line for line in lines[1:5])
    below = lines[lines.index("") + 1 :]
    assert below[0].split() == ["near", "cosine", "gain", "%", "not", "picked", "source", "text"]
    summary = " ".join(lines)
    assert "4 picks by sift(0.1) from the nearest 12 of 12 examples" in summary
    assert "of the query's variance (nearest " in summary


def test_the_table_and_the_json_say_the_same(whet: Whet, memory: Path) -> None:
    shown = whet("select", "--query", "def area(", "--memory", memory, "--picks", 4).stdout.splitlines()
    picks = record(whet, memory, "--picks", 4)["picks"]
    assert isinstance(picks, list)
    for line, pick in zip(shown[1:5], picks, strict=True):
        assert line.split()[1:4] == [
            f"{pick['cosine']:.3f}",
            f"{100 * pick['gain']:.1f}",
            f"{100 * pick['variance']:.1f}",
        ]


def test_json_has_everything_with_full_ids(whet: Whet, memory: Path) -> None:
    said = record(whet, memory, "--picks", 4)
    assert set(said) == {
        "query",
        "selector",
        "candidates",
        "memory",
        "whole",
        "picks",
        "passed_over",
        "traces",
        "seconds",
    }
    assert (said["query"], said["selector"], said["candidates"], said["memory"]) == ("def area(", "sift(0.1)", 12, 12)
    with Memory.open(memory) as opened:
        for part in (*said["picks"], *said["passed_over"]):  # type: ignore[misc]
            (example,) = opened.get([part["example"]["id"]])
            assert part["example"]["target"] == example.text
            assert part["like"] is None or part["like"]["id"] in opened
    assert {"row", "cosine", "gain", "variance", "alone", "taken", "before", "like", "example"} == set(
        said["picks"][0]  # type: ignore[index]
    )


def test_a_dash_reads_the_query_from_stdin(whet: Whet, memory: Path) -> None:
    result = whet("select", "-q", "-", "-m", memory, "--json", input="two\nlines\n\n")
    assert json.loads(result.stdout)["query"] == "two\nlines\n"


def test_the_options_reach_the_selection(whet: Whet, memory: Path) -> None:
    said = record(whet, memory, "--selector", "nearest", "--noise", 0.5, "--candidates", 7, "--picks", 3)
    assert (said["selector"], said["candidates"]) == ("nearest(0.5)", 7)
    assert [pick["row"] for pick in said["picks"]] == [0, 1, 2]  # type: ignore[attr-defined]
    one = record(whet, memory, "--per-source", 1)
    assert len({pick["example"]["id"] for pick in one["picks"]}) == 1  # type: ignore[attr-defined]
    lines = record(whet, memory, "--per-source", 1, "--source", "line")
    ids = [pick["example"]["id"] for pick in lines["picks"]]  # type: ignore[attr-defined]
    assert len(set(ids)) == len(ids)
    short = record(whet, memory, "--max-chars", 150)
    assert sum(len(pick["example"]["target"]) for pick in short["picks"]) <= 150  # type: ignore[attr-defined]


def test_a_near_copy_is_left_out_and_said_to_be(whet: Whet, memory: Path) -> None:
    arguments = ("select", "-q", TEXTS[0], "-m", memory, "--picks", 3)
    picks, passed_over, _ = whet(*arguments, "--near-copy", 0.999).stdout.split("\n\n")
    assert "shapes.py:1 " not in picks
    assert "excluded" in passed_over
    assert whet(*arguments, "--near-copy", 1).stdout.split("\n\n")[0].count("shapes.py:1 ") == 3


def test_the_page_is_written_besides(whet: Whet, memory: Path, tmp_path: Path) -> None:
    page = tmp_path / "out" / "page.html"
    result = whet("select", "-q", "def area(", "-m", memory, "--picks", 3, "--html", page)
    assert result.stdout.splitlines()[-1] == f"page: {page}"
    assert page.read_text(encoding="utf-8").count("<svg") == 2
    quiet = whet("select", "-q", "def area(", "-m", memory, "--picks", 3, "--html", page, "--json")
    json.loads(quiet.stdout)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_every_line_fits_whatever_the_texts(
    columns: int, whet: Whet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with Memory.create(tmp_path / "m") as memory:
        memory.add(
            Example(
                f"{i} wide 漢字 [bold]no markup[/bold] \x1b[2J {'x ' * i}",
                meta={"path": f"a/long/漢字漢字/{i}.py", "line": i},
            )
            for i in range(20)
        )
    result = whet("select", "-q", "wide 漢字", "-m", tmp_path / "m", "--picks", 12)
    assert max(map(cell_len, result.stdout.splitlines())) <= columns
    assert "\x1b" not in result.stdout
    if columns == 200:
        assert "[bold]no markup[/bold]" in result.stdout


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("--selector magic", "selector='magic'"),
        ("--picks 0", "n=0"),
        ("--noise -1", "noise=-1.0"),
        ("--candidates 0", "k=0"),
        ("--near-copy 7", "near_copy=7.0"),
        ("--per-source 2 --source domain", "source='domain'"),
        ("--whole --selector nearest", "selector='nearest'"),
        ("--whole --max-chars 100", "whole:"),
        ("--max-chars 1", "the constraints leave none of the 12 candidates"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_1(wrong: str, message: str, whet: Whet, memory: Path) -> None:
    result = whet("select", "-q", "def area(", "-m", memory, *wrong.split())
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_a_blank_query_and_a_missing_memory_are_errors(whet: Whet, memory: Path, tmp_path: Path) -> None:
    assert "blank" in whet("select", "-q", " ", "-m", memory).stderr
    assert whet("select", "-q", "x", "-m", tmp_path / "none").stderr.startswith("error: there is no memory at")
    assert whet("select", "-m", memory).exit_code == 2


def test_help_fits_80_columns_and_imports_nothing_heavy(whet: Whet) -> None:
    assert max(map(len, whet("select", "--help").stdout.splitlines())) <= 80
    code = "import sys; sys.argv = ['whet', 'select', '--help']\nfrom whet.cli import main\n"
    code += "try: main()\nexcept SystemExit: print('LOADED', *sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert not {"numpy", "scipy", "torch", "matplotlib"} & set(out.rpartition("LOADED")[2].split())
