"""The command line as a whole: help, laziness, errors and exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_fakes import FakeEngine, Whet

from whet.errors import StoreError

_HEAVY = {"torch", "transformers", "sentence_transformers", "pyarrow", "scipy", "matplotlib", "numpy"}


def _loaded_by(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has imported after `code`."""
    code += "\nimport sys; print('LOADED', *sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return _HEAVY & set(out.rpartition("LOADED")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = f"import sys; sys.argv = ['whet', *{arguments}]\nfrom whet.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass"
    assert _loaded_by(code) == set()


def test_help_names_every_command_and_fits_80_columns(whet: Whet) -> None:
    shown = whet("--help").stdout
    assert all(verb in shown for verb in ("index", "ask", "run", "forget"))
    for verb in ("index", "ask", "run", "forget"):
        help = whet(verb, "--help")
        assert help.exit_code == 0
        assert max(map(len, help.stdout.splitlines())) <= 80


def test_version(whet: Whet) -> None:
    assert whet("--version").stdout.split()[0] == "whet"


def test_no_command_and_wrong_usage_end_with_2(whet: Whet, tmp_path: Path) -> None:
    assert whet().exit_code == 2
    assert whet("ask").exit_code == 2
    assert whet("dance").exit_code == 2
    assert whet("index", tmp_path / "none", "--memory", tmp_path / "m").exit_code == 2
    assert not (tmp_path / "m").exists()


def test_a_missing_memory_is_one_line_that_says_what_to_run(whet: Whet, tmp_path: Path) -> None:
    result = whet("ask", "hello", "--memory", tmp_path / "none")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: there is no memory at")
    assert "whet index PATH" in result.stderr
    assert result.stderr.count("\n") == 1


def test_traceback_raises_the_error(whet: Whet, tmp_path: Path) -> None:
    result = whet("--traceback", "ask", "hello", "--memory", tmp_path / "none")
    assert result.exit_code == 1
    assert isinstance(result.exception, StoreError)


def test_an_error_of_many_lines_with_notes_is_shown_on_one(
    whet: Whet, memory: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = StoreError("the disk\n  is \x1b[2J full")
    error.add_note("This was the query 3.")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(engine, "answer", fail)
    result = whet("ask", "hello", "--memory", memory)
    assert result.stderr == "error: the disk is �[2J full This was the query 3.\n"


def test_ctrl_c_ends_with_130(whet: Whet, memory: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "answer", interrupt)
    result = whet("ask", "hello", "--memory", memory)
    assert result.exit_code == 130
    assert result.stderr.strip() == "interrupted"


def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -c 'from whet.cli import main; main()' ask --help | true"
    assert subprocess.run(command, shell=True, capture_output=True, text=True).stderr == ""
