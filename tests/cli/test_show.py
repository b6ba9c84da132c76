"""How an answer looks in a narrow terminal, with long sources, wide characters and hostile text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cli_fakes import some_answer
from rich.cells import cell_len

from whet.cli.show import print_answer
from whet.types import Example, Pick


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_every_line_fits_and_the_numbers_are_always_there(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    examples = [
        Example("wide 漢字 " * 40, meta={"path": "a/very/long/path/to/the/file/漢字漢字/shapes.py", "line": 12345}),
        Example("short", meta={}),
        Example("[bold]no markup[/bold]", meta={"domain": "x", "id": 7}),
    ]
    picks = tuple(Pick(examples[i % 3], -0.5, 0.25 / (i + 1)) for i in range(12))
    print_answer(replace(some_answer(), picks=picks, uncertainty=(1.0, *(pick.variance for pick in picks))))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(cell_len, lines)) <= columns
    rows = lines[3:15]
    assert [row.split()[:3] for row in rows] == [
        [str(i + 1), f"{pick.variance:.4f}", "-0.500"] for i, pick in enumerate(picks)
    ]
    assert "shapes.py:12345" in rows[0]
    assert "domain=x, id=7" in rows[2]
    if columns == 200:
        assert "[bold]no markup[/bold]" in rows[2]


def test_the_text_is_neither_wrapped_nor_able_to_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = "x" * 300 + "\n\tindented [red]\x1b[2J"
    print_answer(replace(some_answer(), text=text, picks=(), uncertainty=(1.0,)))
    out = capsys.readouterr().out
    assert out.startswith("x" * 300 + "\n")
    assert "indented [red]�[2J" in out
    assert "\x1b" not in out
    assert "variance" not in out
