"""Pages: one file that needs nothing else, in which texts stay texts."""

from __future__ import annotations

import errno
from html.parser import HTMLParser
from pathlib import Path

import pytest

from whet.errors import StoreError
from whet.evaluation.figures import loss_steps
from whet.evaluation.files import write_atomically
from whet.evaluation.page import (
    Cell,
    Gallery,
    Listing,
    Picture,
    Prose,
    Section,
    settings,
    table,
    write_report,
)

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)> & \"quoted\" {{ 7 * 7 }} {% raw %} </pre></table>"


class Reader(HTMLParser):
    """The elements of a page, their attributes, and its visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def write(path: Path, words: str) -> Reader:
    blocks = (
        Prose(words),
        Listing(words, words),
        table((words, "b"), [(words, Cell(words, note=words, tint=2.0)), ("c", "d")], caption=words),
        Gallery((Picture(loss_steps([1.0], [0.5]), words),)),
    )
    write_report(path, words, [Section(words, blocks), settings({"name": words})])
    return Reader(path.read_text(encoding="utf-8"))


def test_hostile_texts_are_shown_and_do_nothing(tmp_path: Path) -> None:
    page, harmless = write(tmp_path / "a.html", HOSTILE), write(tmp_path / "b.html", "harmless")
    assert page.tags == harmless.tags
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    # title (twice), heading, paragraph, listing with caption, figure's caption; of the table caption, header, name,
    # cell and note
    assert page.text.count(HOSTILE) == 12


def test_a_page_needs_nothing_else(tmp_path: Path) -> None:
    page = write(tmp_path / "a.html", "words")
    assert not {"link", "script", "img", "iframe"} & set(page.tags)
    links = [value or "" for name, value in page.attributes if name in ("src", "href", "xlink:href")]
    assert all(link.startswith("#") for link in links)
    assert "@import" not in (tmp_path / "a.html").read_text()
    assert ("name", "viewport") in page.attributes


def test_listings_keep_their_first_line_and_their_spaces(tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", "t", [Section("s", (Listing("\n  two\n", "c"),))])
    assert "<pre>\n\n  two\n</pre>" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(("tint", "colour"), [(-0.5, "rgba(0, 114, 178, 0.2"), (3.0, "rgba(213, 94, 0, 0.45)")])
def test_tints_say_better_or_worse_and_are_bounded(tint: float, colour: str) -> None:
    assert Cell("x", tint=tint).background.startswith(colour)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "report.html"
    write_atomically(path, "old")

    def full(*_: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match="No space left"):
        write_atomically(path, "new")
    assert [p.read_text() for p in path.parent.iterdir()] == ["old"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        write_atomically(tmp_path / "file" / "report.html", "text")
