from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.errors import InputError
from whet.tasks import MODES


@given(st.text(min_size=2))
def test_halves_join_to_the_text(text: str) -> None:
    query = MODES["halves"](text)
    assert query.given + (query.target or "") == text
    assert query.given
    assert query.target
    assert query.text == query.given
    assert abs(len(query.given) - len(text) / 2) <= 1.5 + len(text) / 20


def test_halves_prefer_a_line_end() -> None:
    assert MODES["halves"](f"{'word ' * 20}\n{'word ' * 21}").given.endswith("\n")


def test_whole_searches_with_what_it_scores() -> None:
    query = MODES["whole"]("some text")
    assert (query.text, query.given, query.target) == ("some text", "", "some text")


def test_too_short_to_halve() -> None:
    with pytest.raises(InputError, match="halved"):
        MODES["halves"]("x")
