"""Text for the terminal: nothing that steers it, nothing that is too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.cli.text import first_words, printable, source
from whet.types import Example


@given(st.text(alphabet=st.characters()))
def test_only_printable_characters_are_left(text: str) -> None:
    shown = printable(text, keep="\n\t")
    assert len(shown) == len(text)
    assert all(new.isprintable() or new in "\n\t" for new in shown)
    assert all(new == old or not old.isprintable() for new, old in zip(shown, text, strict=True))
    shown.encode()


@given(st.text(), st.integers(1, 60))
def test_the_first_words_are_on_one_line(text: str, length: int) -> None:
    words = first_words(text, length)
    assert len(words) <= length
    assert words.isprintable()


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"path": "a.py", "line": 3, "kind": ".py"}, "a.py:3"),
        ({"path": "a.py"}, "a.py"),
        ({"path": "a/long/path/a.py", "line": 3}, "…ath/a.py:3"),
        ({"domain": "x", "n": 1}, "…n=x, n=1"),
    ],
)
def test_where_an_example_is_from(meta: dict[str, object], expected: str) -> None:
    assert source(Example("text", meta=meta), len(expected) if expected[0] == "…" else 30) == expected


def test_an_example_without_meta_is_called_by_its_id() -> None:
    example = Example("text")
    assert source(example, 40) == example.id
