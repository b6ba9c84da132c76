"""Faults of the disk and of other processes: a clear error, and what was stored stays."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import HashEmbedder

from whet.errors import StoreError
from whet.memory import Memory
from whet.memory.database import FILE_NAME
from whet.types import Example


def _texts(count: int) -> list[Example]:
    return [Example(f"example {n} " + "lorem ipsum " * 20) for n in range(count)]


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.create(tmp_path / "m", embedder=HashEmbedder())
    memory.add(_texts(10))
    return memory


def _pragma(memory: Memory, text: str) -> None:
    memory._database._connection.execute(f"PRAGMA {text}")


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda _: None, "nothing there"),
        (lambda path: path.mkdir(), "a folder without one"),
        (lambda path: path.write_text("x"), "a file"),
    ],
)
def test_opening_what_is_no_memory_says_what_is_there(
    tmp_path: Path, make: Callable[[Path], object], found: str
) -> None:
    make(tmp_path / "m")
    with pytest.raises(StoreError, match=rf"\({found}\).*whet index"):
        Memory.open(tmp_path / "m")
    assert not (tmp_path / "m" / FILE_NAME).exists()


def test_a_memory_is_not_made_over_other_things(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "code.py").touch()
    for path in (tmp_path / "src", tmp_path / "src" / "code.py"):
        with pytest.raises(StoreError, match="exists and is not a memory"):
            Memory.create(path, embedder=HashEmbedder())
    with pytest.raises(StoreError, match="cannot be made"):
        Memory.create(tmp_path / "src" / "code.py" / "m", embedder=HashEmbedder())
    assert [path.name for path in (tmp_path / "src").iterdir()] == ["code.py"]


def test_an_empty_folder_may_become_a_memory(tmp_path: Path) -> None:
    with Memory.create(tmp_path, embedder=HashEmbedder()) as memory:
        assert memory.add(_texts(2)).new == 2


@pytest.mark.parametrize("content", [b"this is not SQLite " * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    for verb in (Memory.create, Memory.open):
        with pytest.raises(StoreError, match="restore it from a copy"):
            verb(tmp_path, embedder=HashEmbedder())
    assert (tmp_path / FILE_NAME).read_bytes() == content


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        other.execute("CREATE TABLE things (id)")
    for verb in (Memory.create, Memory.open):
        with pytest.raises(StoreError, match="is not the file of a memory"):
            verb(tmp_path, embedder=HashEmbedder())
    assert other.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_another_format_is_refused(memory: Memory) -> None:
    memory._database._connection.execute("UPDATE settings SET value = '2' WHERE name = 'format'")
    with pytest.raises(StoreError, match="has format 2"):
        Memory.open(memory.path)


def test_a_full_disk_keeps_what_was_stored_and_indexing_goes_on_later(memory: Memory) -> None:
    (pages,) = memory._database._connection.execute("PRAGMA page_count").fetchone()
    _pragma(memory, f"max_page_count = {pages + 10}")
    with pytest.raises(StoreError, match=r"is full; free some space"):
        memory.add(_texts(1000))
    kept = list(memory)
    assert kept == _texts(1000)[: len(kept)]
    assert memory.search(kept[-1].text, 1).ids == (kept[-1].id,)
    _pragma(memory, "max_page_count = 100000")
    memory.add(_texts(1000))
    assert list(memory) == _texts(1000)


def test_a_lock_held_too_long_is_named(memory: Memory) -> None:
    _pragma(memory, "busy_timeout = 20")
    other = sqlite3.connect(memory.path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked; another process is writing"):
        memory.add([Example("new")])
    assert len(memory) == 10
    other.execute("ROLLBACK")
    assert memory.add([Example("new")]).new == 1


def test_a_memory_that_may_not_be_written_can_be_read(memory: Memory) -> None:
    _pragma(memory, "query_only = 1")
    with pytest.raises(StoreError, match="readonly database; it may not be written"):
        memory.add([Example("new")])
    assert len(memory) == 10


def test_another_thread_is_told_to_open_it_itself(memory: Memory) -> None:
    messages: list[str] = []

    def use() -> None:
        try:
            len(memory)
        except StoreError as error:
            messages.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert "open the memory once in every thread" in messages[0]


def test_two_readers_see_what_one_writer_adds(memory: Memory) -> None:
    readers = [Memory.open(memory.path, embedder=HashEmbedder()) for _ in range(2)]
    before = [reader.vectors for reader in readers]
    assert [len(ids) for ids, _ in before] == [10, 10]
    assert readers[0].vectors[1] is before[0][1]  # Nothing was written, so nothing is read again.
    walk = iter(readers[0])
    next(walk)
    memory.add(_texts(300))
    memory.remove([_texts(1)[0].id])
    for reader in readers:
        assert reader.search(_texts(300)[299].text, 1).ids == (_texts(300)[299].id,)
        assert reader.vectors[0] == memory.vectors[0]
        np.testing.assert_array_equal(reader.vectors[1], memory.vectors[1])
    assert len(list(walk)) >= 9


def test_readers_are_not_held_up_by_a_write_in_progress(memory: Memory) -> None:
    with Memory.open(memory.path, embedder=HashEmbedder()) as reader, memory._database._writing():
        memory._database._connection.execute("DELETE FROM examples")
        _pragma(reader, "busy_timeout = 0")
        assert len(reader) == len(reader.vectors[0]) == 10


def test_two_writers_do_not_store_an_example_twice(memory: Memory) -> None:
    class Meanwhile(HashEmbedder):
        def embed(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> np.ndarray:
            memory.add([Example("common")])
            return super().embed(texts, progress=progress)

    with Memory.open(memory.path, embedder=Meanwhile()) as second:
        added = second.add([Example("common"), Example("own")])
    assert (added.new, added.duplicates) == (1, 1)
    assert [example.text for example in memory][10:] == ["common", "own"]


def test_ctrl_c_keeps_whole_batches(tmp_path: Path) -> None:
    class Interrupted(HashEmbedder):
        def embed(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> np.ndarray:
            if "example 600 " in "".join(texts):
                raise KeyboardInterrupt
            return super().embed(texts, progress=progress)

    memory = Memory.create(tmp_path / "m", embedder=Interrupted())
    with pytest.raises(KeyboardInterrupt):
        memory.add(_texts(1000))
    assert list(memory) == _texts(512)
    with Memory.create(tmp_path / "m", embedder=HashEmbedder()) as again:
        assert again.add(_texts(1000)).new == 488
        assert list(again) == _texts(1000)


SLOW_INDEXING = """
import sys, time
from fakes import HashEmbedder
from whet.memory import Memory

class Slow(HashEmbedder):
    def embed(self, texts, *, progress=None):
        time.sleep(0.05)
        return super().embed(texts, progress=progress)

Memory.create(sys.argv[1], embedder=Slow()).add_files(sys.argv[2])
"""


def test_a_killed_indexing_is_resumed_to_the_same_memory(tmp_path: Path) -> None:
    text = "".join(f"Paragraph {n} says {n * n}. {'Words follow. ' * 30}\n\n" for n in range(5000))
    (tmp_path / "text.txt").write_text(text)
    path = tmp_path / "killed"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    sizes = [0]
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW_INDEXING, str(path), str(tmp_path / "text.txt")], env=environment
        )
        deadline = time.monotonic() + 30
        while _size(path) <= sizes[-1] and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        sizes.append(_size(path))
    assert 0 < sizes[1] < sizes[2]

    with (
        Memory.create(path, embedder=HashEmbedder()) as resumed,
        Memory.create(tmp_path / "whole", embedder=HashEmbedder()) as whole,
    ):
        added = resumed.add_files(tmp_path / "text.txt")
        assert added.duplicates == sizes[2] < added.duplicates + added.new == whole.add_files(tmp_path / "text.txt").new
        assert list(resumed) == list(whole)
        assert [example.meta for example in resumed] == [example.meta for example in whole]
        assert resumed.vectors[0] == whole.vectors[0]
        np.testing.assert_array_equal(resumed.vectors[1], whole.vectors[1])


def _size(path: Path) -> int:
    """How many examples are stored; 0 while the memory is being made."""
    try:
        with Memory.open(path) as memory:
            return len(memory)
    except StoreError:
        return 0
