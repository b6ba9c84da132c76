"""The memory: examples on disk with their embeddings, searched exactly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whet.errors import EmbedderMismatchError, InputError, RecordError
from whet.memory.adapters import AdapterCache
from whet.memory.adding import Added, Batch, batches
from whet.memory.base import Embedder, Progress, Vectors, unit_rows
from whet.memory.chunking import chunk_text
from whet.memory.database import Database
from whet.memory.embedders import MINILM, load_embedder
from whet.memory.readers import OnError, read_files, read_jsonl, read_parquet
from whet.memory.search import Candidates, nearest, uniform
from whet.memory.shelf import Shelf
from whet.memory.vectors import VectorCache
from whet.types import Example


class Memory:
    """Examples in a folder on disk, each with its embedding; one process writes, many may read.

    Made by `Memory.create` and `Memory.open`; a context manager, closed at the end. Every batch that is added is one
    transaction: whatever stops a process, what was stored before stays, and adding the same things again stores the
    rest. All methods raise a StoreError when the disk is full, the file is damaged, or another process holds it locked.

    Attributes:
        path: the folder.
        adapters: the adapters made so far for queries to this memory.
        activations: what models have made of its examples, for whoever wants to keep that.
    """

    def __init__(self, database: Database, embedder: Embedder | None) -> None:
        self.path = database.folder
        self._database = database
        self._embedder_name = database.setting("embedder")
        self._dimension = int(database.setting("dimension"))
        self._embedder = embedder
        self._cache = VectorCache(database, self._dimension)
        self.adapters = AdapterCache(database.folder / "adapters")
        self.activations = Shelf(database.folder / "activations.sqlite")

    @classmethod
    def create(cls, path: str | Path, *, embedder: Embedder | str = MINILM) -> Memory:
        """Make a memory, or open it if it exists.

        Args:
            path: its folder.
            embedder: what embeds examples and queries, or its name; a memory keeps to one.

        Raises:
            EmbedderMismatchError: the memory exists and was made with another embedder.
            StoreError: the path is something else, or cannot be written.
        """
        chosen = load_embedder(embedder) if isinstance(embedder, str) else embedder
        database = Database.create(Path(path), chosen.name, chosen.dimension)
        return cls._with(database, chosen)

    @classmethod
    def open(cls, path: str | Path, *, embedder: Embedder | None = None) -> Memory:
        """Open a memory that exists, with the embedder that it names unless one is given.

        Raises:
            EmbedderMismatchError: the memory was made with another embedder.
            StoreError: there is no memory at this path.
        """
        database = Database.open(Path(path))
        return cls(database, None) if embedder is None else cls._with(database, embedder)

    @classmethod
    def _with(cls, database: Database, embedder: Embedder) -> Memory:
        stored = database.setting("embedder"), int(database.setting("dimension"))
        if stored != (embedder.name, embedder.dimension):
            database.close()
            raise EmbedderMismatchError(
                f"the memory {str(database.folder)!r} was made with the embedder {stored[0]!r} (dimension {stored[1]}) "
                f"and not with {embedder.name!r} (dimension {embedder.dimension}); use the first, or index again "
                "into a new folder."
            )
        return cls(database, embedder)

    @property
    def embedder(self) -> Embedder:
        """What embeds examples and queries; one that was not given is made from its name.

        Raises:
            ModelError: it cannot be made from its name.
        """
        if self._embedder is None:
            self._embedder = load_embedder(self._embedder_name)
        return self._embedder

    def add(self, examples: Iterable[Example], *, progress: Progress | None = None) -> Added:
        """Embed and store examples in batches; blank ones and those that are there already are passed over.

        Args:
            examples: any number; they are not held in memory together.
            progress: is told how many examples have been dealt with.

        Raises:
            InputError: an example cannot be stored or its embedding is no use; nothing of its batch is stored.
        """
        added = Added(new=0, duplicates=0)
        done = 0
        for batch in batches(examples):
            new = self._store(batch, None if progress is None else _from(done, progress))
            duplicates = batch.size - batch.blank - new
            added = Added(added.new + new, added.duplicates + duplicates, added.empty + batch.blank)
            done += batch.size
            if progress is not None:
                progress(done)
        return added

    def add_files(
        self,
        *paths: str | Path,
        where: Mapping[str, str] | None = None,
        on_error: OnError = "raise",
        progress: Progress | None = None,
    ) -> Added:
        """Add text and code, cut at sensible borders, from files and folders; see `read_files`.

        JSONL and Parquet files among them are added as by `add_jsonl` and `add_parquet`, with `where` and `on_error`.
        Files that are not UTF-8 text are in `Added.skipped`.

        Raises:
            InputError: a path does not exist.
            RecordError: as in `add_jsonl`.
        """
        return self._add_read(
            lambda skip: read_files(*paths, where=where, on_error=on_error, on_skip=skip, chunk=chunk_text), progress
        )

    def add_jsonl(
        self,
        path: str | Path,
        *,
        where: Mapping[str, str] | None = None,
        on_error: OnError = "raise",
        progress: Progress | None = None,
    ) -> Added:
        """Add the records of a JSONL file, long texts cut as those of files are; see `read_jsonl`.

        Raises:
            InputError: the file does not exist.
            RecordError: a line is no record and `on_error` is `raise`; all that came before it is stored. With `skip`
                it is in `Added.skipped` instead.
        """
        return self._add_read(
            lambda skip: read_jsonl(path, where=where, on_error=on_error, on_skip=skip, chunk=chunk_text), progress
        )

    def add_parquet(
        self,
        path: str | Path,
        *,
        where: Mapping[str, str] | None = None,
        on_error: OnError = "raise",
        progress: Progress | None = None,
    ) -> Added:
        """Add the rows of a Parquet file; as `add_jsonl`.

        Raises:
            InputError, RecordError: as in `add_jsonl`.
            MissingExtraError: pyarrow is not installed.
        """
        return self._add_read(
            lambda skip: read_parquet(path, where=where, on_error=on_error, on_skip=skip, chunk=chunk_text), progress
        )

    def remove(self, ids: Iterable[str]) -> int:
        """Remove examples and overwrite what they said; how many were there. Unknown ids are passed over."""
        return self._database.delete(_id_list(ids))

    def get(self, ids: Iterable[str]) -> list[Example]:
        """The examples of these ids, in their order.

        Raises:
            InputError: there is no example of such an id.
        """
        wanted = _id_list(ids)
        found = self._database.fetch(wanted)
        for id in wanted:
            if id not in found:
                raise InputError(
                    f"the memory {str(self.path)!r} has no example {id!r}; it may have been removed. "
                    "Ids are those of `Example.id`."
                )
        return [found[id] for id in wanted]

    @property
    def vectors(self) -> tuple[tuple[str, ...], Vectors]:
        """All ids in the order of insertion and their vectors `(ids, dimension)`, read-only; kept up with the file."""
        return self._cache.current()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts into `(texts, dimension)` with rows of norm 1.

        Raises:
            InputError: there are none, or one is blank, or its embedding is no use.
        """
        if not texts:
            raise InputError("there are no texts to embed; pass at least one.")
        places = [f"text {index} of {len(texts)}" for index in range(1, len(texts) + 1)]
        for text, place in zip(texts, places, strict=True):
            if not text.strip():
                raise InputError(f"{place} is blank ({text[:20]!r}); there is nothing to embed. Give it some words.")
        return unit_rows(self.embedder.embed(texts), self._dimension, places)

    def search(self, query: str | NDArray[np.floating], k: int, *, exclude: Collection[str] = ()) -> Candidates:
        """The `k` examples most similar to a query, by cosine, exactly; equal ones in the order of insertion.

        Args:
            query: a text, or an embedding `(dimension,)` of any norm.
            k: how many; if there are fewer, all of them.
            exclude: ids that are passed over.

        Raises:
            InputError: k < 1, or the query is blank, or not finite, zero, or of another dimension.
            EmptyMemoryError: there is no example, or all are excluded.
        """
        return nearest(*self.vectors, self._query_vector(query), k, _id_list(exclude))

    def sample(
        self, k: int, seed: int, *, query: str | NDArray[np.floating], exclude: Collection[str] = ()
    ) -> Candidates:
        """`k` examples at random, without replacement and in random order; else as `search`."""
        return uniform(*self.vectors, self._query_vector(query), k, seed, _id_list(exclude))

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._database.close()

    def __len__(self) -> int:
        return self._database.count()

    def __iter__(self) -> Iterator[Example]:
        return self._database.examples()

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and bool(self._database.known([id]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _add_read(self, read: Callable[[Callable[[str], None]], Iterator[Example]], progress: Progress | None) -> Added:
        skipped: list[str] = []
        try:
            added = self.add(read(skipped.append), progress=progress)
        except RecordError as error:
            raise RecordError(f"{error} Everything before it is stored and will not be embedded again.") from error
        return replace(added, skipped=tuple(skipped))

    def _store(self, batch: Batch, progress: Progress | None) -> int:
        """Embed and store what is new in a batch; how many that was."""
        known = self._database.known(list(batch.distinct))
        new = [example for id, example in batch.distinct.items() if id not in known]
        if not new:
            return 0
        vectors = self.embedder.embed([example.text for example in new], progress=progress)
        unit = unit_rows(vectors, self._dimension, [batch.places[example.id] for example in new])
        return self._database.insert(new, unit)

    def _query_vector(self, query: str | NDArray[np.floating]) -> Vectors:
        rows = self.embed([query]) if isinstance(query, str) else unit_rows([query], self._dimension, ["the query"])
        vector: Vectors = rows[0]
        return vector


def _from(start: int, progress: Progress) -> Progress:
    return lambda done: progress(start + done)


def _id_list(ids: Iterable[str]) -> list[str]:
    if isinstance(ids, str):
        raise InputError(f"ids must be a list of ids, not one string; pass [{ids!r}].")
    return list(ids)
