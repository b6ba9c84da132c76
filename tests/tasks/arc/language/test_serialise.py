from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.errors import InputError
from whet.models import LanguageModel
from whet.tasks.arc import Pair, as_grid
from whet.tasks.arc.language import SERIALISATIONS, digits, minimal, minimal_tokenizer
from whet.tasks.arc.language.lessons import token_lesson

MINIMAL = minimal_tokenizer()
grids = st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1)).map(
    lambda drawn: as_grid(np.random.default_rng(drawn[2]).integers(0, 10, drawn[:2]))
)
pairs = st.builds(Pair, grids, grids)
tokens = st.lists(st.sampled_from([3, 7, 10, 11, 13]), max_size=8).map(lambda ids: [*ids, 13])


@pytest.fixture(scope="module", params=sorted(SERIALISATIONS))
def plugged(request: pytest.FixtureRequest, tiny_llama: LanguageModel) -> Any:
    tokenizer = {"minimal": MINIMAL, "digits": tiny_llama.tokenizer}[request.param]
    return SERIALISATIONS[request.param](tokenizer)


@given(grid=grids)
def test_every_grid_comes_back_as_it_was(plugged: Any, grid: Any) -> None:
    ids = plugged.answer(grid)
    assert np.array_equal(plugged.parse(ids), grid)
    assert ids.index(plugged.stop) == len(ids) - 1


@given(ids=tokens)
def test_what_is_read_as_a_grid_is_written_in_just_these_tokens(ids: list[int]) -> None:
    serialisation = minimal(MINIMAL)
    try:
        grid = serialisation.parse(ids)
    except InputError:
        return
    assert serialisation.answer(grid) == ids


@given(shown=st.lists(pairs, max_size=3), grid=grids)
def test_a_longer_prompt_goes_on_where_a_shorter_one_and_its_answer_end(
    plugged: Any, shown: list[Pair], grid: Any
) -> None:
    whole = plugged.prompt(shown, grid)
    for count, pair in enumerate(shown):
        begin = [*plugged.prompt(shown[:count], pair.input), *plugged.answer(pair.output)]
        assert whole[: len(begin)] == begin


def test_the_minimal_vocabulary_spells_a_task_as_one_reads_it() -> None:
    pair = Pair(as_grid([[1, 2], [3, 4]]), as_grid([[5]]))
    ids = minimal(MINIMAL).prompt([pair], as_grid([[6], [7]]))
    assert MINIMAL.decode(ids) == "<begin><input>12\n34<output>5<end><input>6\n7<output>"
    assert MINIMAL.encode(MINIMAL.decode(ids), add_special_tokens=False) == ids
    assert len(MINIMAL) == 16


def test_digits_are_the_text_that_a_pretrained_model_would_read(tiny_llama: LanguageModel) -> None:
    tokenizer = tiny_llama.tokenizer
    pair = Pair(as_grid([[1, 2], [3, 4]]), as_grid([[5]]))
    ids = digits(tokenizer).prompt([pair], as_grid([[6], [7]]))
    end = tokenizer.eos_token
    assert tokenizer.decode(ids) == f"{end}input\n12\n34\noutput\n5{end}input\n6\n7\noutput\n"


def test_the_minimal_tokenizer_survives_being_saved(tmp_path: Any) -> None:
    from transformers import AutoTokenizer

    MINIMAL.save_pretrained(tmp_path)
    assert minimal(AutoTokenizer.from_pretrained(tmp_path)) == minimal(MINIMAL)


@pytest.mark.parametrize(
    "ids",
    [
        [],
        [13],
        [1, 2],
        [1, 10, 13],
        [10, 1, 13],
        [1, 2, 10, 3, 13],
        [1, 11, 2, 13],
        [1, 13, 2, 13],
        [1, 15, 13],
        [*[1] * 31, 13],
        [*chain.from_iterable([1, 10] for _ in range(30)), 1, 13],
    ],
)
def test_what_is_no_answer_is_refused(ids: list[int]) -> None:
    with pytest.raises(InputError):
        minimal(MINIMAL).parse(ids)


class Stub:
    """A tokenizer that writes some texts in other tokens."""

    def __init__(self, end: int | None = 99, **other: list[int]) -> None:
        self.eos_token_id, self.bos_token_id, self.other = end, None, other

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        return self.other.get({"\n": "row", "7": "seven"}.get(text, ""), [ord(letter) for letter in text])


def test_a_tokenizer_without_a_token_for_each_symbol_is_refused() -> None:
    assert digits(Stub()).begin == (99,)
    with pytest.raises(InputError, match="'7' as the tokens"):
        digits(Stub(seven=[1, 2]))
    with pytest.raises(InputError, match="as the tokens"):
        digits(Stub(seven=[ord("8")]))
    with pytest.raises(InputError, match=r"'\\n' as the tokens"):
        digits(Stub(row=[]))
    with pytest.raises(InputError, match="eos_token"):
        digits(Stub(end=None))
    with pytest.raises(InputError, match="eos_token"):
        digits(Stub(end=ord("\n")))


def test_the_minimal_serialisation_wants_its_tokenizer(tiny_llama: LanguageModel) -> None:
    with pytest.raises(InputError, match="minimal_tokenizer"):
        minimal(tiny_llama.tokenizer)


@given(shown=st.lists(pairs, min_size=1, max_size=4))
def test_all_outputs_but_the_first_are_learnt(plugged: Any, shown: list[Pair]) -> None:
    lesson = token_lesson(plugged, shown)
    learnt = [lesson.ids[place] for place in lesson.learnt]
    wanted = shown[1:] if len(shown) > 1 else shown
    assert learnt == [token for pair in wanted for token in plugged.answer(pair.output)]
    assert list(lesson.ids) == plugged.prompt(shown[:-1], shown[-1].input) + plugged.answer(shown[-1].output)
