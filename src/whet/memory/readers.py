"""Examples from files: text and code, JSONL and Parquet records, each of them also gzipped where that is usual."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal, cast

from whet.errors import InputError, MissingExtraError, RecordError
from whet.memory.chunking import Chunk
from whet.memory.database import FILE_NAME
from whet.types import Example

Chunker = Callable[[str], Iterable[Chunk]]
"""Cuts a text into pieces, such as `chunk_text`."""

OnError = Literal["raise", "skip"]
"""What to do with a record that cannot be read: raise a RecordError, or leave it out and tell `on_skip` why."""

OnSkip = Callable[[str], None]
"""Is told what was left out, and why."""

_HEAD_BYTES = 8192
_ROWS = 1024


def read_files(
    *paths: str | Path,
    where: Mapping[str, str] | None = None,
    on_error: OnError = "raise",
    on_skip: OnSkip | None = None,
    chunk: Chunker | None = None,
) -> Iterator[Example]:
    """Read text files, and folders of them in sorted order.

    In a folder, hidden files and folders, `__pycache__`, linked folders and memories of whet are passed over. Files
    named `*.jsonl`, `*.jsonl.gz` and `*.parquet` are read as records, under `where` and `on_error`. Of the others,
    those that are not UTF-8 text are left out, whatever `on_error` says, and `on_skip` is told.

    Yields:
        Examples whose meta has `path`, `line` (of the first character, from 1) and `kind` (the suffix).

    Raises:
        InputError: a path does not exist.
        RecordError: a record cannot be read, and `on_error` is `raise`.
    """
    for path in _walk(paths):
        suffixes = [suffix.lower() for suffix in path.suffixes]
        if suffixes[-1:] == [".jsonl"] or suffixes[-2:] == [".jsonl", ".gz"]:
            yield from read_jsonl(path, where=where, on_error=on_error, on_skip=on_skip, chunk=chunk)
        elif suffixes[-1:] == [".parquet"]:
            yield from read_parquet(path, where=where, on_error=on_error, on_skip=on_skip, chunk=chunk)
        else:
            yield from _read_text(path, on_skip, chunk)


def read_jsonl(
    path: str | Path,
    *,
    where: Mapping[str, str] | None = None,
    on_error: OnError = "raise",
    on_skip: OnSkip | None = None,
    chunk: Chunker | None = None,
) -> Iterator[Example]:
    """Read one record a line: a JSON object with `text`, or with `input` and `target`; `*.gz` is unpacked.

    Args:
        path: the file. Lines end with a line feed only; blank ones are passed over.
        where: keeps the records whose fields have these values (true, null and numbers as JSON writes them).
        on_error: what to do with a line that is not such a record.
        on_skip: is told of each line that was left out.
        chunk: cuts the text of records with `text`; None leaves it whole.

    Yields:
        Examples whose meta has the other fields of the record, and `path` and `line` unless the record has its own.

    Raises:
        InputError: the file does not exist or may not be read.
        RecordError: a line is not such a record, and `on_error` is `raise`; it names file, line and reason.
    """
    path = Path(path)
    number = 0
    with _open_binary(path) as file:
        try:
            # Iterating over bytes ends lines at b"\n" alone: text may hold U+2028 and other line separators.
            for number, line in enumerate(file, start=1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if not line.strip():
                    continue
                try:
                    record = _parse(line)
                    if _matches(record, where):
                        yield from _examples(record, path, number, chunk)
                except RecordError as error:
                    _report(f"{_name(path)}:{number}: {error}", on_error, on_skip)
        except (OSError, EOFError, zlib.error) as error:
            _report(f"{_name(path)}:{number + 1}: the file cannot be read further: {error}", on_error, on_skip)


def read_parquet(
    path: str | Path,
    *,
    where: Mapping[str, str] | None = None,
    on_error: OnError = "raise",
    on_skip: OnSkip | None = None,
    chunk: Chunker | None = None,
) -> Iterator[Example]:
    """Read the rows of a Parquet file as records; all as in `read_jsonl`, `line` being the number of the row, from 1.

    Raises:
        InputError: the file does not exist or may not be read.
        RecordError: a row is no record, or the file is damaged, and `on_error` is `raise`.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            f"{_name(Path(path))} is a Parquet file, which needs `pip install 'whet[parquet]'`."
        ) from error

    path = Path(path)
    number = 0
    with _open_binary(path) as file:
        try:
            for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    try:
                        record = {field: _plain(value) for field, value in row.items()}
                        if _matches(record, where):
                            yield from _examples(record, path, number, chunk)
                    except RecordError as error:
                        _report(f"{_name(path)}:{number}: {error}", on_error, on_skip)
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            _report(f"{_name(path)}:{number + 1}: the file cannot be read further: {error}", on_error, on_skip)


def _walk(paths: Iterable[str | Path]) -> Iterator[Path]:
    """The files named by `paths`, and those in the folders among them, in sorted order."""
    for path in map(Path, paths):
        if not path.exists():
            raise InputError(f"there is no file or folder {_name(path)!r}; check the path.")
        if not path.is_dir():
            yield path
            continue
        for folder, folders, files in os.walk(path):
            if FILE_NAME in files:
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
            yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


def _read_text(path: Path, on_skip: OnSkip | None, chunk: Chunker | None) -> Iterator[Example]:
    try:
        text = _decode(path)
    except (OSError, EOFError, zlib.error, InputError) as error:
        if on_skip is not None:
            on_skip(f"{_name(path)}: {error}")
        return
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    for piece in _pieces(text, chunk):
        yield Example(piece.text, meta={"path": _name(path), "line": piece.line, "kind": kind})


def _decode(path: Path) -> str:
    """The text of a file; a RecordError says why it is none."""
    if not path.is_file():
        raise RecordError("neither a file nor a folder (a pipe, a device or a broken link)")
    with _open_binary(path) as file:
        head = file.read(_HEAD_BYTES)
        content = head if b"\0" in head else head + file.read()
    if b"\0" in content:
        raise RecordError("binary (it holds a NUL byte)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(f"not UTF-8 (byte {error.start}); convert it with iconv to index it") from error


def _open_binary(path: Path) -> IO[bytes]:
    try:
        return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise InputError(f"the file {_name(path)!r} cannot be opened: {error.strerror}; check the path.") from error


def _name(path: Path) -> str:
    """The path for people to read: bytes of it that are no UTF-8 are replaced, so that it can be printed."""
    return os.fsencode(path).decode("utf-8", "replace")


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RecordError(f"not UTF-8 (byte {error.start + 1} of the line)") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON ({error})") from error
    if not isinstance(record, dict):
        raise RecordError(f"a JSON {type(record).__name__}, not an object")
    return record


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: dates, decimals and bytes become strings."""
    if value is None or isinstance(value, str | int | float):
        return value
    return json.loads(json.dumps(value, default=str))


def _matches(record: Mapping[str, Any], where: Mapping[str, str] | None) -> bool:
    return all(field in record and _word(record[field]) == value for field, value in (where or {}).items())


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _examples(record: Mapping[str, Any], path: Path, number: int, chunk: Chunker | None) -> Iterator[Example]:
    """The examples of one record: the pieces of its `text`, or one of its `input` and `target`."""
    fields = ("text",) if "text" in record else ("input", "target")
    for field in fields:
        if field not in record:
            raise RecordError("a record needs `text`, or `input` and `target`; it has " + (", ".join(record) or "none"))
        if not isinstance(record[field], str):
            raise RecordError(f"`{field}` is {_word(record[field])[:40]}, not a string")
        try:
            record[field].encode("utf-8")
        except UnicodeEncodeError as error:
            raise RecordError(f"`{field}` holds half of a surrogate pair (character {error.start + 1})") from error
    own = {field: value for field, value in record.items() if field not in fields}
    meta = {"path": _name(path), "line": number} | own
    if fields == ("text",):
        yield from (Example(piece.text, meta=meta) for piece in _pieces(record["text"], chunk))
    else:
        yield Example(record["target"], record["input"], meta=meta)


def _pieces(text: str, chunk: Chunker | None) -> Iterable[Chunk]:
    """The text cut up; a blank one is kept as it is, so that it can be counted."""
    return [Chunk(text, 1)] if chunk is None or not text.strip() else chunk(text)


def _report(message: str, on_error: OnError, on_skip: OnSkip | None) -> None:
    if on_error == "raise":
        raise RecordError(f'{message}. Mend it, or leave such records out with on_error="skip".')
    if on_skip is not None:
        on_skip(message)
