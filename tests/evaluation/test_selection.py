"""A selection from a memory: the choice is that of the selector, under the limits that were asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import HashEmbedder
from selection_oracle import reference_variance

from whet.errors import EmptyMemoryError, InputError
from whet.evaluation.selection import Limits, Selection, select
from whet.memory import Memory
from whet.selection import Constraints, Sift
from whet.types import Example

WORDS = ("river", "stone", "plain", "width", "height", "area", "circle", "square", "name", "list", "sorted", "print")
QUERY = "the area of a circle"


def examples() -> list[Example]:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(4, 30))) for _ in range(60)]
    return [Example(text, meta={"path": f"{i % 4}.txt", "line": i}) for i, text in enumerate(texts)]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory.create(tmp_path / "m", embedder=HashEmbedder()) as opened:
        opened.add(examples())
        yield opened


def picked(selection: Selection) -> list[Example]:
    return [selection.examples[pick.row] for pick in selection.explanation.picks]


def test_the_picks_are_those_of_the_selector_among_the_nearest(memory: Memory) -> None:
    selection = select(memory, QUERY, picks=6, candidates=30)
    found = memory.search(QUERY, 30)
    choice = Sift(0.1).choose(found.vectors, found.query, 6)
    assert [example.id for example in picked(selection)] == [found.ids[i] for i in choice.indices]
    assert selection.traces["sift(0.1)"] == tuple(choice.variances.tolist())
    assert (selection.memory, len(selection.candidates.ids)) == (60, 30)
    neighbours = set(found.ids[:6]) - {example.id for example in picked(selection)}
    assert {found.ids[passed.row] for passed in selection.explanation.passed_over} == neighbours
    assert set(selection.seconds) == {"embed", "search", "select", "explain"}


def test_the_baselines_choose_from_the_same(memory: Memory) -> None:
    selection = select(memory, QUERY, picks=6, candidates=30)
    found = selection.candidates
    assert list(selection.traces) == ["sift(0.1)", "nearest", "random"]
    nearest = [reference_variance(found.vectors, found.query, 0.1, list(range(n))) for n in range(7)]
    np.testing.assert_allclose(selection.traces["nearest"], nearest, atol=1e-5)
    assert len(selection.traces["random"]) == 7
    assert selection.traces["sift(0.1)"][-1] < selection.traces["nearest"][-1] < selection.traces["random"][-1]
    assert list(select(memory, QUERY, selector="nearest").traces) == ["nearest(0.1)", "random"]


def test_near_copies_of_the_query_are_left_out_unless_asked_for(memory: Memory) -> None:
    text = examples()[3].text
    limited = select(memory, text, picks=3)
    assert text not in [example.text for example in picked(limited)]
    assert limited.explanation.passed_over[0].reason == "excluded"
    assert [example.text for example in picked(select(memory, text, picks=3, limits=Limits(near_copy=1)))] == [text] * 3


def test_a_source_gives_no_more_than_it_may(memory: Memory) -> None:
    selection = select(memory, QUERY, picks=20, limits=Limits(per_source=2))
    sources = Counter(example.meta["path"] for example in picked(selection))
    assert set(sources.values()) == {2}
    assert len(sources) == 4
    assert "The limits left nothing more to pick." in selection.words()
    by_line = select(memory, QUERY, picks=20, limits=Limits(per_source=1, source="line"))
    assert len({example.id for example in picked(by_line)}) == 20


def test_an_example_without_the_field_is_a_source_of_its_own(memory: Memory) -> None:
    memory.add([Example(f"area of a circle number {i}") for i in range(3)])
    selection = select(memory, QUERY, picks=20, limits=Limits(per_source=1))
    counts = Counter(example.meta.get("path", "none") for example in picked(selection))
    assert counts == {"none": 3, "0.txt": 1, "1.txt": 1, "2.txt": 1, "3.txt": 1}


def test_the_picks_keep_to_the_characters(memory: Memory) -> None:
    selection = select(memory, QUERY, picks=20, limits=Limits(characters=300))
    assert 200 < sum(len(example.text) for example in picked(selection)) <= 300
    free = select(memory, QUERY, picks=20)
    assert sum(len(example.text) for example in picked(free)) > 300


def test_a_choice_from_the_whole_memory_is_that_of_sift_over_all_of_it(memory: Memory) -> None:
    text = examples()[3].text
    selection = select(memory, text, picks=8, candidates=4, whole=True)
    ids, matrix = memory.vectors
    query = memory.embed([text])[0]
    choice = Sift(0.1).choose(matrix, query, 8, constraints=Constraints(near_copy=0.98))
    assert [example.id for example in picked(selection)] == [ids[row] for row in choice.indices]
    np.testing.assert_allclose([p.variance for p in selection.explanation.picks], choice.variances[1:], atol=1e-5)
    np.testing.assert_allclose([p.gain for p in selection.explanation.picks], choice.gains, atol=1e-5)
    assert len(selection.candidates.ids) > 4
    assert selection.candidates.ids[:4] == memory.search(text, 4).ids
    np.testing.assert_allclose(selection.candidates.similarities, selection.candidates.vectors @ query, atol=1e-6)
    assert selection.explanation.passed_over[0].reason == "excluded"
    assert "from all 60 examples" in selection.words()[0]
    copies = select(memory, text, picks=8, whole=True, limits=Limits(near_copy=1))
    assert [example.text for example in picked(copies)] == [text] * 8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"selector": "magic"}, "selector='magic'"),
        ({"noise": 0.0}, "noise=0.0"),
        ({"picks": 0}, "n=0"),
        ({"candidates": 0}, "k=0"),
        ({"limits": Limits(per_source=2, source="domain")}, "source='domain': .* they have line, path"),
        ({"limits": Limits(characters=0)}, "budget=0"),
        ({"limits": Limits(near_copy=2.0)}, "near_copy=2.0"),
    ],
)
def test_what_is_out_of_range_is_named(memory: Memory, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(memory, QUERY, **wrong)  # type: ignore[arg-type]


def test_an_empty_memory_says_what_to_do(tmp_path: Path) -> None:
    with (
        Memory.create(tmp_path / "empty", embedder=HashEmbedder()) as memory,
        pytest.raises(EmptyMemoryError, match="whet index"),
    ):
        select(memory, QUERY)
