"""Texts held out of a memory: what they may learn from, and how they are split."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from fakes import HashEmbedder

from whet.errors import InputError
from whet.evaluation.held_out import HeldOut, hold_out
from whet.memory import Memory
from whet.tasks import MODES
from whet.types import Example

WORDS = ("river", "stone", "plain", "round", "water", "sand", "bank", "bridge", "mill", "boat", "fish", "reed", "tide")


def text(number: int) -> str:
    """About 150 characters that no other number has."""
    words = (WORDS[(number * 7 + 3 * i * i) % len(WORDS)] for i in range(20))
    return " ".join(f"{word}{number + i}" for i, word in enumerate(words)) + f"\nnumber {number}\n"


def memory_of(folder: Path, examples: Iterable[Example]) -> Memory:
    memory = Memory.create(folder / "m.whet", embedder=HashEmbedder())
    memory.add(examples)
    return memory


def from_file(number: int, path: str) -> Example:
    return Example(text(number), meta={"path": path, "line": number})


def draw(memory: Memory, count: int, seed: int = 0) -> tuple[list[HeldOut], list[HeldOut]]:
    return hold_out(memory, count, candidates=200, seed=seed)


def paths(memory: Memory, ids: Iterable[str]) -> list[str]:
    return [example.meta["path"] for example in memory.get(ids)]


def test_a_text_may_learn_from_everything_but_its_own_source(tmp_path: Path) -> None:
    memory = memory_of(tmp_path, (from_file(i, f"{i % 8}.py") for i in range(40)))
    for held in [held for half in draw(memory, 6) for held in half]:
        (own,) = memory.get([held.id])
        assert (held.given, held.target) == (MODES["halves"](own.text).given, MODES["halves"](own.text).target)
        assert set(held.candidates.ids) == {e.id for e in memory if e.meta["path"] != own.meta["path"]}


def test_a_near_copy_in_another_file_is_no_candidate(tmp_path: Path) -> None:
    copies = [Example(text(i) + " ", meta={"path": f"copy of {i}.py"}) for i in range(4)]
    memory = memory_of(tmp_path, [*(from_file(i, f"{i}.py") for i in range(4)), *copies])
    for held in [held for half in draw(memory, 4) for held in half]:
        (own,) = memory.get([held.id])
        assert not any(own.text.strip() == example.text.strip() for example in memory.get(held.candidates.ids))


def test_records_of_one_file_are_sources_of_their_own_and_their_pieces_are_not(tmp_path: Path) -> None:
    pieces = [Example(text(i), meta={"path": "all.jsonl", "line": i // 2}) for i in range(20)]
    memory = memory_of(tmp_path, pieces)
    for held in [held for half in draw(memory, 4) for held in half]:
        (own,) = memory.get([held.id])
        assert {e.meta["line"] for e in memory.get(held.candidates.ids)} == set(range(10)) - {own.meta["line"]}


def test_the_halves_have_no_source_in_common_and_one_text_of_each_while_there_are_enough(tmp_path: Path) -> None:
    memory = memory_of(tmp_path, (from_file(i, "large.py" if i < 30 else f"{i}.py") for i in range(45)))
    for seed in range(5):
        tuning, reporting = draw(memory, 11, seed)
        assert (len(tuning), len(reporting)) == (5, 6)
        used = paths(memory, (held.id for held in (*tuning, *reporting)))
        assert len(set(used)) == len(used)


def test_few_sources_give_several_texts_each_to_one_half(tmp_path: Path) -> None:
    memory = memory_of(tmp_path, (from_file(i, f"{i % 3}.py") for i in range(30)))
    tuning, reporting = draw(memory, 12)
    ids = [held.id for held in (*tuning, *reporting)]
    assert len(set(ids)) == 12
    assert not set(paths(memory, ids[:6])) & set(paths(memory, ids[6:]))


def test_the_seed_decides_the_draw(tmp_path: Path) -> None:
    memory = memory_of(tmp_path, (from_file(i, f"{i}.py") for i in range(40)))
    ids = [[held.id for half in draw(memory, 8, seed) for held in half] for seed in (0, 0, 1)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("examples", "count", "said"),
    [
        ([from_file(i, f"{i}.py") for i in range(9)], 3, "queries=3: give at least 4"),
        ([from_file(i, f"{i}.py") for i in range(9)], 10, r"queries=10: .* 9 have at least 100 characters"),
        ([from_file(i, "only.py") for i in range(9)], 4, "index more files"),
        ([Example(f"short {i}") for i in range(9)], 4, "0 have at least 100"),
        ([Example(" " * 200 + f"one half is blank {i}") for i in range(9)], 4, "0 have"),
    ],
)
def test_what_cannot_be_held_out_is_an_error(tmp_path: Path, examples: list[Example], count: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        draw(memory_of(tmp_path, examples), count)
