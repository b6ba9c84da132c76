"""What the docs say by machine is what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import whet.selection

DOCS = Path(__file__).parents[1] / "docs"


def test_the_reference_of_selection_is_that_of_its_docstrings() -> None:
    script = runpy.run_path(str(DOCS / "make_reference.py"))
    assert (DOCS / "selection_api.md").read_text(encoding="utf-8") == script["reference"](whet.selection)


def test_every_criterion_stands_in_the_docs() -> None:
    page = (DOCS / "selection.md").read_text(encoding="utf-8")
    assert [name for name in whet.selection.SELECTORS if f"`{name}`" not in page] == []
