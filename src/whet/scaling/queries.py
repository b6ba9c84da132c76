"""The queries of a batch: one JSON record a line, all checked before any work begins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.errors import InputError, RecordError

QueryId = str | int


@dataclass(frozen=True)
class BatchQuery:
    """A line of a queries file.

    Attributes:
        id: its field `id`, or else the number of its line, from 1.
        text: its field `text`, the prompt.
        record: all its fields, as they were read.
    """

    id: QueryId
    text: str
    record: Mapping[str, Any]


def read_queries(path: Path) -> list[BatchQuery]:
    """Read a JSONL file of records with `text`, the prompt, and perhaps `id`; blank lines are passed over.

    Raises:
        InputError: the file cannot be read, or holds no query.
        RecordError: a line is no such record, or has the id of another; the message names file and line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the queries {str(path)!r} cannot be read: {error.strerror}; check the path.") from error
    queries: list[BatchQuery] = []
    first: dict[QueryId, int] = {}
    # Lines end with a line feed alone: text may hold U+2028 and other line separators.
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            query = _query(line, number)
            if query.id in first:
                raise RecordError(f"the id {query.id!r} is that of line {first[query.id]} too; give each query its own")
        except RecordError as error:
            raise RecordError(f"{path}:{number}: {error}. Mend that line; nothing has been answered.") from error
        first[query.id] = number
        queries.append(query)
    if not queries:
        raise InputError(f'the file {str(path)!r} holds no query; write one a line, such as {{"text": "def area("}}.')
    return queries


def _query(line: bytes, number: int) -> BatchQuery:
    try:
        record = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        # What cannot be written as JSON again (NaN, halves of surrogate pairs) could not stand in the answers.
        json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON in UTF-8 ({error})") from error
    if not isinstance(record, dict):
        raise RecordError(f"a JSON {type(record).__name__}, not an object")
    text, query_id = record.get("text"), record.get("id", number)
    if not isinstance(text, str) or not text.strip():
        raise RecordError(
            "a query needs `text`, a string that is not blank; it has " + (", ".join(record) or "no field")
        )
    if not isinstance(query_id, str | int) or isinstance(query_id, bool):
        raise RecordError(f"`id` is {json.dumps(query_id)}, neither a string nor a whole number")
    return BatchQuery(query_id, text, record)
