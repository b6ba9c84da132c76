"""The files of one adapter.

    adapter_config.json          settings, as PEFT writes them
    adapter_model.safetensors    the matrices, under PEFT's names
    whet.json                    the record: provenance, embedding of the query, checksums
    hits                         one byte for each time that the adapter was loaded; its time is that of the last

A byte is appended in one system call, so processes that count at once lose nothing and a kill leaves nothing half done.
Every function raises a FileNotFoundError when there is no such folder (any more), and Damage when its files are not
those that were written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whet.errors import InputError
from whet.memory.adapter_records import AdapterRecord, Damage, Provenance, Written, checksum, decode, encode
from whet.memory.base import Vectors

if TYPE_CHECKING:
    from torch import Tensor

_SETTINGS, _WEIGHTS, _RECORD, _HITS = "adapter_config.json", "adapter_model.safetensors", "whet.json", "hits"

Content = dict[str, bytes]
"""The files of an adapter by name, in the order in which they are written."""


def pack(
    settings: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    vector: Vectors,
    provenance: Provenance,
    created: float,
) -> Content:
    """The files of an adapter.

    Raises:
        InputError: the settings, the vector or the provenance cannot be stored.
    """
    from safetensors.torch import save

    try:
        files = {_SETTINGS: json.dumps(dict(settings), indent=2).encode(), _WEIGHTS: save(dict(weights))}
    except TypeError as error:
        raise InputError(f"the settings of an adapter cannot be written as JSON: {error}; use plain values.") from error
    checksums = {name: checksum(content) for name, content in files.items()}
    # the weights are written last: what a killed process leaves says what it learnt from before it holds any of it
    return {_RECORD: encode(Written(provenance, vector, created, checksums)), _HITS: b"", **files}


def write(folder: Path, content: Content, created: float) -> None:
    """Make a folder with these files."""
    folder.mkdir(parents=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    os.utime(folder / _HITS, (created, created))


def read_record(folder: Path) -> AdapterRecord:
    """The record of an adapter, without a look at its weights."""
    with _telling(folder):
        written = decode((folder / _RECORD).read_bytes())
        hits, last_used = usage(folder)
        return AdapterRecord(
            id=folder.name,
            provenance=written.provenance,
            vector=written.vector,
            size=sum(entry.stat().st_size for entry in os.scandir(folder)),
            created=written.created,
            last_used=last_used,
            hits=hits,
        )


def read_adapter(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and tensors, after both were compared with their checksums."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    with _telling(folder):
        checksums = decode((folder / _RECORD).read_bytes()).checksums
        settings, weights = ((folder / name).read_bytes() for name in (_SETTINGS, _WEIGHTS))
        for name, content in ((_SETTINGS, settings), (_WEIGHTS, weights)):
            if checksum(content) != checksums.get(name):
                raise Damage(f"{name} does not match its checksum")
        try:
            return json.loads(settings), load(weights)
        except (ValueError, SafetensorError) as error:
            raise Damage(f"its files cannot be read ({error})") from error


def usage(folder: Path) -> tuple[int, float]:
    """How often an adapter was loaded, and when last (or when it was stored), in seconds since 1970."""
    with _telling(folder):
        state = (folder / _HITS).stat()
        return state.st_size, state.st_mtime


def count_hit(folder: Path, now: float) -> None:
    """Note that an adapter was loaded; where that cannot be written, as on a read-only disk, nothing is noted."""
    with suppress(OSError):
        # never made anew: a folder that is being removed must not grow
        file = os.open(folder / _HITS, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, b".")
        finally:
            os.close(file)
        os.utime(folder / _HITS, (now, now))


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    """Tell a file that is missing from a folder that is gone."""
    try:
        yield
    except FileNotFoundError as error:
        if not folder.exists():
            raise
        raise Damage(f"{Path(error.filename).name} is missing") from error
    except NotADirectoryError as error:
        raise Damage("it is a file, not a folder") from error
