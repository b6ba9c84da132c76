"""Chunks joined are the text, none is too long or blank, and the borders are where a reader would cut."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from whet.errors import InputError
from whet.memory import chunk_text

# Letters, all kinds of line ends, decorators and definitions, wide and combining characters.
LETTERS = ["a", "bc. ", "d! ", "é", "e\u0301", "😀", "。", "\x00", "word "]
GAPS = [" ", "\n", "\n\n", "\r\n", "\t", "\u2028", "\x85"]
CODE = ["def f():\n", "class C:\n", "@wraps\n", "    x\n", "\ndef "]
PIECES = st.sampled_from([*LETTERS, *GAPS, *CODE])
TEXTS = st.lists(PIECES, max_size=120).map("".join)
SIZES = st.integers(1, 40).flatmap(lambda least: st.tuples(st.integers(2 * least, 4 * least + 10), st.just(least)))


@settings(deadline=None)
@given(TEXTS, SIZES)
@example("", (2, 1))
@example(" " * 30, (7, 2))
@example("a" + " " * 30 + "b", (7, 2))
def test_joined_chunks_are_the_text_and_no_chunk_is_too_long(text: str, sizes: tuple[int, int]) -> None:
    most, least = sizes
    chunks = list(chunk_text(text, max_chars=most, min_chars=least))
    assert "".join(chunk.text for chunk in chunks) == text
    assert all(0 < len(chunk.text) <= most for chunk in chunks)
    position = 0
    for chunk in chunks:
        assert chunk.line == 1 + text[:position].count("\n")
        position += len(chunk.text)


@settings(deadline=None)
@given(TEXTS, SIZES)
def test_no_chunk_is_blank_or_short_unless_white_space_is_long(text: str, sizes: tuple[int, int]) -> None:
    most, least = sizes
    longest_gap = max((len(gap) for gap in re.findall(r"\s+", text)), default=0)
    if longest_gap >= most // 2 or not text.strip():
        return
    chunks = list(chunk_text(text, max_chars=most, min_chars=least))
    assert all(chunk.text.strip() for chunk in chunks)
    assert all(len(chunk.text) >= min(least, len(text)) for chunk in chunks)


def test_a_text_that_fits_is_one_chunk() -> None:
    assert [chunk.text for chunk in chunk_text("x" * 800)] == ["x" * 800]
    assert list(chunk_text("")) == []
    assert [chunk.text for chunk in chunk_text(" \n")] == [" \n"]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("one two. three\nfour\n\nfive six. seven\neight", "one two. three\nfour\n\n"),
        ("x = 1\ny = 2 # aaaa\ndef f():\n    pass\n    return 1\n", "x = 1\ny = 2 # aaaa\n"),
        ("x = 1\ny = 2 # aaaa\n@wraps\ndef f():\n    return\n", "x = 1\ny = 2 # aaaa\n"),
        ("x = 1\ny = 22222\n  def f():\n    return 1\n12345", "x = 1\ny = 22222\n  def f():\n"),
        ("one two. three four\nfive six. seven eight nine", "one two. three four\n"),
        ("one two three. four five six seven eight nine", "one two three. "),
        ("一二三四五六七八九十。" * 5, "一二三四五六七八九十。" * 2),
        ("onetwo three fourfive sixseveneightnineten", "onetwo three fourfive "),
        ("x" * 45, "x" * 30),
    ],
)
def test_the_best_border_is_taken(text: str, cut: str) -> None:
    assert next(chunk_text(text, max_chars=30, min_chars=5)).text == cut


def test_python_source_is_cut_before_definitions() -> None:
    source = "".join(f"@cache\ndef function_{n}(x):\n    y = x + {n}\n    return y\n" for n in range(50))
    chunks = list(chunk_text(source, max_chars=300, min_chars=60))
    assert all(chunk.text.startswith("@cache\ndef ") for chunk in chunks)
    lines = source.split("\n")
    assert all(chunk.text.startswith(lines[chunk.line - 1]) for chunk in chunks)


@pytest.mark.parametrize("unit", ["x", " ", "word ", "\n", ". \n", "@\n", "a\n \n"])
def test_time_is_linear_in_the_length(unit: str) -> None:
    text = unit * (2_000_000 // len(unit))
    start = time.process_time()
    assert sum(len(chunk.text) for chunk in chunk_text(text)) == len(text)
    assert time.process_time() - start < 3.0


@pytest.mark.parametrize(("most", "least"), [(10, 6), (10, 0), (1, 1), (10, -1)])
def test_lengths_without_room_are_refused(most: int, least: int) -> None:
    with pytest.raises(InputError, match=f"min_chars={least} and max_chars={most}"):
        list(chunk_text("text", max_chars=most, min_chars=least))
