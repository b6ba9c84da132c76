"""The memory from outside: what goes in comes out, found by similarity, and bad input loses nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from fakes import HashEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.errors import EmbedderMismatchError, EmptyMemoryError, InputError, RecordError, StoreError
from whet.memory import Added, Memory
from whet.types import Example


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory.create(tmp_path / "notes.whet", embedder=HashEmbedder())


def _texts(count: int) -> list[Example]:
    return [Example(f"example number {n}: {n * n} {'ab' * (n % 7)}") for n in range(count)]


def test_what_is_added_comes_out_again_also_after_closing(tmp_path: Path) -> None:
    examples = [
        Example("target", "input", {"path": "a.py", "n": 1, "deep": {"x": [1.5, None, True]}}),
        Example("😀 e\u0301 \u2028 \x85 \r\n \x00 日本"),
        Example("same", meta={"odd": "\ud800"}),
    ]
    with Memory.create(tmp_path / "m", embedder=HashEmbedder()) as memory:
        assert memory.add(examples) == Added(new=3, duplicates=0)
    with Memory.open(tmp_path / "m", embedder=HashEmbedder()) as memory:
        assert memory.path == tmp_path / "m"
        assert list(memory) == examples
        assert [example.meta for example in memory] == [example.meta for example in examples]
        assert memory.get([examples[2].id, examples[0].id]) == [examples[2], examples[0]]
        assert len(memory) == 3
        assert examples[1].id in memory
        assert "nowhere" not in memory
        ids, vectors = memory.vectors
        assert ids == tuple(example.id for example in examples)
        np.testing.assert_allclose(vectors, HashEmbedder().embed([e.text for e in examples]), atol=1e-6)


def test_duplicates_and_blanks_are_counted_and_not_embedded(memory: Memory) -> None:
    first = _texts(3)
    assert memory.add([*first, first[0], Example(" \n"), Example("")]) == Added(new=3, duplicates=1, empty=2)
    embedded: list[str] = []

    class Watching(HashEmbedder):
        def embed(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> np.ndarray:
            embedded.extend(texts)
            return super().embed(texts, progress=progress)

    again = Memory.open(memory.path, embedder=Watching())
    assert again.add(_texts(4)) == Added(new=1, duplicates=3)
    assert embedded == [_texts(4)[3].text]


def test_identity_is_input_and_target(memory: Memory) -> None:
    added = memory.add([Example("bc", "a"), Example("c", "ab"), Example("abc"), Example("bc", "a", {"other": "meta"})])
    assert added == Added(new=3, duplicates=1)


def test_progress_counts_all_examples_and_never_goes_back(memory: Memory) -> None:
    seen: list[int] = []
    examples = _texts(600)
    memory.add([*examples, *examples[:10], Example(" ")], progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 611
    assert len(set(seen)) > 500


def test_search_finds_the_text_itself_first(memory: Memory) -> None:
    examples = _texts(300)
    memory.add(examples)
    for example in examples[::50]:
        found = memory.search(example.text, 5)
        assert found.ids[0] == example.id
        assert found.similarities[0] == pytest.approx(1.0, abs=1e-6)
        assert example.id not in memory.search(example.text, 5, exclude={example.id}).ids
        by_vector = memory.search(7.5 * HashEmbedder().embed([example.text])[0], 5)
        assert by_vector.ids == found.ids
        np.testing.assert_allclose(by_vector.query, found.query, atol=1e-6)
    assert len(memory.search("anything", 1000).ids) == 300
    assert memory.sample(5, 1, query="anything").ids == memory.sample(5, 1, query="anything").ids
    assert memory.sample(5, 1, query="anything").ids != memory.sample(5, 2, query="anything").ids


@pytest.mark.parametrize("query", ["", " \t\n", np.zeros(32), np.full(32, np.nan), np.ones(31), np.ones((1, 32))])
def test_a_query_without_direction_is_refused(memory: Memory, query: str | np.ndarray) -> None:
    memory.add(_texts(3))
    with pytest.raises(InputError, match=r"blank|zero|not finite|shape"):
        memory.search(query, 3)
    with pytest.raises(InputError):
        memory.sample(3, 0, query=query)


def test_an_empty_memory_has_nothing_to_search(memory: Memory) -> None:
    assert (len(memory), list(memory), memory.vectors[1].shape) == (0, [], (0, 32))
    with pytest.raises(EmptyMemoryError, match="whet index"):
        memory.search("query", 3)
    memory.add([Example("only")])
    with pytest.raises(EmptyMemoryError, match="excluded"):
        memory.search("query", 3, exclude=[Example("only").id])


def test_embedding_nothing_or_blanks_is_refused(memory: Memory) -> None:
    with pytest.raises(InputError, match="no texts"):
        memory.embed([])
    with pytest.raises(InputError, match="text 2 of 2 is blank"):
        memory.embed(["a", "\n"])


def test_removed_examples_are_gone_and_may_come_back(memory: Memory) -> None:
    examples = _texts(5)
    memory.add(examples)
    assert memory.remove([examples[1].id, examples[3].id, "unknown", examples[1].id]) == 2
    assert list(memory) == [examples[0], examples[2], examples[4]]
    assert examples[1].id not in memory.search(examples[1].text, 5).ids
    with pytest.raises(InputError, match=examples[3].id):
        memory.get([examples[0].id, examples[3].id])
    memory.add(examples)
    assert list(memory) == [examples[n] for n in (0, 2, 4, 1, 3)]
    for verb in (memory.remove, memory.get, lambda id: memory.search("query", 1, exclude=id)):
        with pytest.raises(InputError, match="not one string"):
            verb(examples[0].id)


def test_what_was_removed_is_in_no_file_any_more(memory: Memory) -> None:
    memory.add([*_texts(20), Example("the password is swordfish " * 50)])
    memory.remove([Example("the password is swordfish " * 50).id])
    assert all(b"swordfish" not in file.read_bytes() for file in memory.path.iterdir())


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.sets(st.integers(0, 12), max_size=5)), max_size=8))
def test_it_behaves_like_an_ordered_dict(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:
    examples = _texts(13)
    expected: dict[str, Example] = {}
    path = tmp_path_factory.mktemp("model") / "m"
    with (
        Memory.create(path, embedder=HashEmbedder()) as memory,
        Memory.open(path, embedder=HashEmbedder()) as reader,
    ):
        for verb, numbers in steps:
            chosen = [examples[n] for n in sorted(numbers)]
            if verb == "add":
                memory.add(chosen)
                expected.update({e.id: e for e in chosen if e.id not in expected})
            else:
                assert memory.remove([e.id for e in chosen]) == sum(e.id in expected for e in chosen)
                expected = {id: e for id, e in expected.items() if e not in chosen}
            for side in (memory, reader):
                assert list(side) == list(expected.values())
                assert side.vectors[0] == tuple(expected)
                vectors = HashEmbedder().embed([e.text for e in expected.values()])
                np.testing.assert_allclose(side.vectors[1], vectors, atol=1e-6)


class _Faulty(HashEmbedder):
    """Gives the text `bad` an embedding that is no use."""

    def embed(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> np.ndarray:
        vectors = super().embed(texts, progress=progress)
        for row, text in enumerate(texts):
            if text.startswith("bad"):
                vectors[row] = {"nan": np.nan, "zero": 0.0}[text[4:]]
        return vectors


@pytest.mark.parametrize("fault", ["nan", "zero"])
def test_an_embedding_that_is_no_use_stores_nothing_of_its_batch(tmp_path: Path, fault: str) -> None:
    memory = Memory.create(tmp_path / "m", embedder=_Faulty())
    examples = _texts(300)
    examples[270] = Example(f"bad {fault}", meta={"path": "notes.txt", "line": 7})
    with pytest.raises(InputError, match=r"example 271 \(notes\.txt:7\)"):
        memory.add(examples)
    assert list(memory) == examples[:256]


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (Example("half \ud83d"), r"example 3 holds half of a surrogate pair \(character 6"),
        (Example("a", meta={"x": {1, 2}}), "the meta of example 3 cannot be written as JSON"),
    ],
)
def test_an_example_that_cannot_be_stored_is_named(memory: Memory, example: Example, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        memory.add([Example("one"), Example("two"), example])
    assert len(memory) == 0


def test_a_bad_record_keeps_what_came_before_it(memory: Memory, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": example.text}) for example in _texts(300)]
    path.write_text("\n".join([*lines[:290], "{oops", *lines[290:]]))
    with pytest.raises(RecordError, match=r"a\.jsonl:291: not JSON .* Everything before it is stored"):
        memory.add_jsonl(path)
    assert list(memory) == _texts(290)
    added = memory.add_jsonl(path, on_error="skip")
    assert (added.new, added.duplicates) == (10, 290)
    assert f"{path}:291: not JSON" in added.skipped[0]
    assert list(memory) == _texts(300)


def test_files_records_and_tables_are_added(memory: Memory, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "code.py").write_text("".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(100)))
    (source / "binary").write_bytes(b"\0")
    (source / "blank.txt").write_text("\n\n")
    (source / "records.jsonl").write_text('{"text": "yes", "split": "a"}\n{"text": "no", "split": "b"}\n')
    pyarrow.parquet.write_table(pyarrow.table({"text": ["yes", "also"], "split": ["a", "a"]}), source / "t.parquet")
    added = memory.add_files(source, where={"split": "a"})
    texts = [example.text for example in memory]
    assert "".join(texts[:-2]) == (source / "code.py").read_text()
    assert texts[-2:] == ["yes", "also"]
    assert (added.new, added.duplicates, added.empty) == (len(texts), 1, 1)
    assert added.skipped == (f"{source / 'binary'}: binary (it holds a NUL byte)",)
    assert memory.add_parquet(source / "t.parquet") == Added(new=0, duplicates=2)
    assert memory.add_files(source / "blank.txt", source / "code.py").new == 0


def test_a_record_of_twenty_megabytes_is_stored_whole(memory: Memory) -> None:
    huge = Example("long word " * 2_000_000)
    assert memory.add([huge]).new == 1
    assert memory.get([huge.id]) == [huge]


def test_a_huge_record_of_a_file_is_cut(memory: Memory, tmp_path: Path) -> None:
    text = "".join(f"{n} " for n in range(20_000))
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}))
    memory.add_jsonl(tmp_path / "a.jsonl")
    assert "".join(example.text for example in memory) == text


def test_another_embedder_is_refused(memory: Memory) -> None:
    for other in (HashEmbedder(name="other"), HashEmbedder(dimension=16)):
        for verb in (Memory.create, Memory.open):
            with pytest.raises(
                EmbedderMismatchError, match=rf"'hash' \(dimension 32\).*{other.name}.*{other.dimension}"
            ):
                verb(memory.path, embedder=other)
    with pytest.raises(EmbedderMismatchError, match=r"'hash'.*'minilm' \(dimension 384\)"):
        Memory.create(memory.path)


def test_without_an_embedder_all_but_embedding_works(memory: Memory) -> None:
    memory.add(_texts(3))
    with Memory.open(memory.path) as reader:
        assert list(reader) == _texts(3)
        assert reader.search(memory.vectors[1][1], 1).ids == (_texts(3)[1].id,)
        assert reader.remove([_texts(3)[0].id]) == 1


def test_a_closed_memory_says_so(memory: Memory) -> None:
    memory.close()
    memory.close()
    with pytest.raises(StoreError, match=r"Memory\.open"):
        len(memory)
