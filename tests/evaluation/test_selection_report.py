"""The page of a selection: both pictures, both tables, texts that stay texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import HashEmbedder

from whet.evaluation.selection import Limits, Selection, select
from whet.evaluation.selection_report import selection_report
from whet.memory import Memory
from whet.types import Example

HOSTILE = "<script>alert('x')</script> {{ 7 * 7 }} & \"quoted\""


def selection(folder: Path, query: str, **options: object) -> Selection:
    with Memory.create(folder, embedder=HashEmbedder()) as memory:
        texts = [f"{query[: i + 3]} number {i} of many {'again ' * (i % 5)}" for i in range(30)]
        memory.add(Example(text, meta={"path": f"deep/folder/{i}.txt", "line": i}) for i, text in enumerate(texts))
        return select(memory, query, picks=5, **options)  # type: ignore[arg-type]


def written(path: Path, chosen: Selection) -> str:
    selection_report(path, chosen)
    return path.read_text(encoding="utf-8")


def test_the_page_shows_pictures_and_tables(tmp_path: Path) -> None:
    chosen = selection(tmp_path / "m", "a river carries stones to the plain", limits=Limits(near_copy=0.6))
    page = written(tmp_path / "page.html", chosen)
    assert page.count("<svg") == 2
    assert page.count("<table") == 2
    for words in ("cosine to the query", "posterior variance", "a river carries stones to the plain", "excluded"):
        assert words in page
    for pick in chosen.explanation.picks:
        assert f"{pick.row}.txt:" in page or f"{chosen.examples[pick.row].meta['line']}.txt:" in page
        assert f"{100 * pick.gain:.2f}" in page


def test_without_neighbours_passed_over_there_is_no_table_of_them(tmp_path: Path) -> None:
    chosen = selection(tmp_path / "m", "a river carries stones", selector="nearest")
    assert chosen.explanation.passed_over == ()
    assert written(tmp_path / "page.html", chosen).count("<table") == 1


@pytest.mark.parametrize("query", [HOSTILE])
def test_hostile_texts_are_shown_and_do_nothing(tmp_path: Path, query: str) -> None:
    page = written(tmp_path / "page.html", selection(tmp_path / "m", query))
    assert "<script" not in page
    assert "{{ 7 * 7 }}" in page
