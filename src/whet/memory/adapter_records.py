"""What the cache knows of an adapter, and how it is written beside it so that damage is seen.

The record is JSON. It holds the BLAKE2b checksums of the adapter's other files and one of itself, so a byte that
changes in any of them is found. A record of an earlier format has no checksums and counts as damaged.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from whet.errors import InputError
from whet.memory.base import Vectors

_FORMAT = 2


class Damage(Exception):
    """An adapter's files are not those that were written; the message says which and why, for a longer one."""


@dataclass(frozen=True)
class Provenance:
    """Where an adapter came from.

    Attributes:
        example_ids: what it was trained on, in order, with repeats.
        model: fingerprint of the base model that it belongs to.
        embedder: name of the embedder that made the query's vector.
        seed: seed of its first weights.
        recipe: how it was made (selector, shape, training), as plain values; only an equal recipe is reused.
    """

    example_ids: tuple[str, ...]
    model: str
    embedder: str
    seed: int
    recipe: Mapping[str, Any]


@dataclass(frozen=True)
class AdapterRecord:
    """An adapter in the cache, without its weights; enough to train it again.

    Attributes:
        id: its name in the cache.
        provenance: where it came from.
        vector: embedding `(d,)` of the query that it was made for.
        size: bytes of its files.
        created: when it was stored, in seconds since 1970.
        last_used: when it was loaded last, or stored if it never was.
        hits: how often it was loaded.
    """

    id: str
    provenance: Provenance
    vector: Vectors
    size: int
    created: float
    last_used: float
    hits: int


@dataclass(frozen=True)
class Written:
    """The content of a record file: see `AdapterRecord`; `checksums` are of the adapter's other files, by name."""

    provenance: Provenance
    vector: Vectors
    created: float
    checksums: Mapping[str, str]


def checksum(content: bytes) -> str:
    """BLAKE2b of 128 bits, in hexadecimal digits."""
    return blake2b(content, digest_size=16).hexdigest()


def encode(written: Written) -> bytes:
    """The content of a record file.

    Raises:
        InputError: the vector is no embedding, or the recipe is not made of plain values.
    """
    with np.errstate(over="ignore"):  # what does not fit is infinite, and refused
        vector = np.asarray(written.vector).astype("<f4")
    if vector.ndim != 1 or not _comparable(vector):
        raise InputError(
            f"the vector of an adapter has shape {vector.shape}, or is zero or not finite: give the embedding (d,) of "
            "the query that it was made for."
        )
    origin = written.provenance
    record: dict[str, Any] = {
        "format": _FORMAT,
        "provenance": vars(origin) | {"recipe": dict(origin.recipe)},
        "vector": base64.b64encode(vector.tobytes()).decode(),
        "created": written.created,
        "checksums": dict(written.checksums),
    }
    try:
        record["checksum"] = checksum(_canonical(record))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the provenance of an adapter cannot be written as JSON: {error}; use plain values."
        ) from error
    return json.dumps(record).encode()


def decode(content: bytes) -> Written:
    """What `encode` wrote.

    Raises:
        Damage: it is something else.
    """
    try:
        record = json.loads(content)
        found = record.get("format", 1)
        if found != _FORMAT:
            raise Damage(f"its record has format {found!r}, and this version of whet reads format {_FORMAT}")
        expected = record.pop("checksum")
        if checksum(_canonical(record)) != expected:
            raise Damage("its record does not match its checksum")
        origin = record["provenance"]
        return Written(
            provenance=Provenance(**{**origin, "example_ids": tuple(origin["example_ids"])}),
            vector=np.frombuffer(base64.b64decode(record["vector"]), dtype="<f4").astype(np.float32),
            created=float(record["created"]),
            checksums=record["checksums"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damage(f"its record is not one that whet wrote ({error!r})") from error


def _canonical(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True).encode()


def _comparable(vector: Vectors) -> bool:
    length = np.linalg.norm(vector.astype(np.float64))
    return bool(np.isfinite(length) and length > 0)
