"""The measurement of a query on a tiny model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import HashEmbedder

from whet.config import EngineConfig
from whet.decoding import score_text
from whet.engine import Engine
from whet.errors import EmptyMemoryError, InputError
from whet.evaluation import Record, Settings, Text, measure
from whet.memory import Memory
from whet.types import Example

TEXT = Text("00", "notes", "The cat sat on the mat.\nThe dog lay by the door.\nThe bird sang in the tree.\n")
SETTINGS = Settings(methods=("base", "context", "random", "nearest", "repeat", "sift"), picks=(2, 4), noise=(0.1, 1.0))


@pytest.fixture
def engine(tiny_llama, tmp_path) -> Engine:
    memory = Memory.create(tmp_path / "m.whet", embedder=HashEmbedder())
    memory.add(
        [
            Example(target=f"The {a} sat on the {b}, number {i}.")
            for i, (a, b) in enumerate((a, b) for a in ("cat", "dog", "bird", "fish") for b in ("mat", "door", "tree"))
        ]
    )
    return Engine(tiny_llama, memory, EngineConfig(candidates=8))


def without_seconds(records: list[Record]) -> list[Record]:
    """Records without times; variances to what float32 keeps when other candidates are looked at beside."""
    return [replace(r, seconds={}, variance=None if r.variance is None else round(r.variance, 5)) for r in records]


def test_every_method_is_scored_at_every_number_of_picks(engine: Engine) -> None:
    records = list(measure(engine, TEXT, SETTINGS))
    names = [(r.mode, r.method, r.picks) for r in records]
    assert len(names) == len(set(names)) == 2 * (1 + 2 * 6)
    assert ("halves", "sift(1)", 4) in names
    assert ("whole", "base", 0) in names
    sift = next(r for r in records if r.method == "sift(0.1)" and r.picks == 4)
    assert set(sift.seconds) == {"embed", "search", "select", "train", "score"}


def test_same_again_and_fewer_picks_are_the_first_of_more(engine: Engine) -> None:
    records = without_seconds(list(measure(engine, TEXT, SETTINGS)))
    assert without_seconds(list(measure(engine, TEXT, SETTINGS))) == records
    fewer = without_seconds(list(measure(engine, TEXT, replace(SETTINGS, picks=(2,)))))
    assert fewer == [r for r in records if r.picks in (0, 2)]


def test_base_is_the_plain_score(engine: Engine) -> None:
    (record,) = measure(engine, TEXT, Settings(methods=("base",), modes=("whole",)))
    assert record.bits_per_byte == score_text(engine.model, TEXT.text).bits_per_byte


def test_copies_of_the_query_are_excluded(engine: Engine) -> None:
    settings = Settings(methods=("nearest",), picks=(1,), modes=("whole",))
    (before,) = without_seconds(list(measure(engine, TEXT, settings)))
    engine.memory.add([Example(target=TEXT.text)])
    assert without_seconds(list(measure(engine, TEXT, settings))) == [before]


def test_a_memory_of_nothing_but_copies_is_an_error(engine: Engine, tmp_path) -> None:
    memory = Memory.create(tmp_path / "copies.whet", embedder=HashEmbedder())
    memory.add([Example(target=TEXT.text)])
    with pytest.raises(EmptyMemoryError, match="excluded"):
        list(measure(Engine(engine.model, memory), TEXT, SETTINGS))


@pytest.mark.parametrize(
    "wrong", [{"methods": ("best",)}, {"methods": ()}, {"modes": ("thirds",)}, {"picks": ()}, {"picks": (0,)}]
)
def test_settings_refuse(wrong) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Settings(**wrong)
