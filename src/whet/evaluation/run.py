"""Measuring many texts on several processes, with every finished text on disk at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from whet.config import EngineConfig
from whet.engine import Engine
from whet.errors import InputError, StoreError
from whet.evaluation.files import write_atomically
from whet.evaluation.language import Record, Settings, Text, measure
from whet.types import Example

_UNUSED = ("guard", "tolerances", "reuse", "warm", "merge")
"""Settings of the engine that no measurement of the language depends on."""


@dataclass(frozen=True)
class Job:
    """Everything that a worker needs to open its own engine.

    Attributes:
        model: name or path of the model.
        memory: folder of the memory.
        config: of the engine.
        settings: what is compared.
    """

    model: str
    memory: str
    config: EngineConfig
    settings: Settings

    def description(self) -> dict[str, object]:
        """The job as plain values; a run goes on only with the description that it began with."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        for unused in _UNUSED:
            del plain["config"][unused]
        return plain


def choose_texts(examples: Iterable[Example], *, limit: int, max_chars: int, group: str = "domain") -> list[Text]:
    """Up to `limit` different texts of each group, each cut at `max_chars` characters.

    The group is a field of an example's meta, or else the name of the file that it came from. Of a group's texts those
    with the lowest ids are taken, which is as good as at random; a larger limit takes the same ones and more.

    Raises:
        InputError: there is no text at all.
    """
    grouped: dict[str, dict[str, str]] = {}
    for example in examples:
        name = str(example.meta.get(group, Path(str(example.meta.get("path", "all"))).name))
        if len(text := example.text[:max_chars].strip()) > 1:
            grouped.setdefault(name, {})[Example(target=text).id] = text
    if not grouped:
        raise InputError("there is no text among the queries; check the files and what --where asks for.")
    return [Text(id, name, texts[id]) for name, texts in sorted(grouped.items()) for id in sorted(texts)[:limit]]


def measure_all(
    job: Job,
    texts: Sequence[Text],
    *,
    log: Path,
    workers: int,
    progress: Callable[[int], None] | None = None,
) -> list[Record]:
    """Measure every text that the log does not hold yet, and return their records, ordered by id.

    Each worker is a process with one thread, so the numbers do not depend on how many there are.

    Args:
        job: the model, the memory and what is compared.
        texts: what to measure.
        log: JSON lines: the job's description, then each text's records as they come. A torn last line is dropped.
            It may hold other texts as well.
        workers: number of processes.
        progress: told how many texts are done so far.

    Raises:
        InputError: the log belongs to another job.
        StoreError: the log cannot be written.
    """
    wanted = {text.id for text in texts}
    records = [record for record in _resume(log, job.description()) if record.id in wanted]
    done = {record.id for record in records}
    left = [text for text in texts if text.id not in done]
    if progress:
        progress(len(done))
    if left:
        with log.open("a", encoding="utf-8") as out, _pool(job, workers) as pool:
            futures = [pool.submit(_measure, text) for text in left]
            for finished, future in enumerate(as_completed(futures), start=len(done) + 1):
                fresh = future.result()
                records += fresh
                try:
                    out.write(json.dumps([asdict(record) for record in fresh]) + "\n")
                    out.flush()
                except OSError as error:
                    raise StoreError(f"the results could not be written to {log}: {error.strerror}.") from error
                if progress:
                    progress(finished)
    return sorted(records, key=lambda record: record.id)


def _resume(log: Path, header: Mapping[str, object]) -> list[Record]:
    """Records that the log holds; a new log is begun with the header."""
    content = log.read_bytes() if log.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if not content:
        write_atomically(log, json.dumps(header) + "\n")
        return []
    first, *lines = whole.decode(errors="replace").split("\n")
    if first != json.dumps(header):
        raise InputError(
            f"{log} holds the results of another run (other settings, model or memory), or something else; "
            "name another file, or remove it to begin anew."
        )
    os.truncate(log, len(whole))
    return [Record(**record) for line in lines if line for record in json.loads(line)]


@contextmanager
def _pool(job: Job, workers: int) -> Iterator[ProcessPoolExecutor]:
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_open, initargs=(job,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_engine: Engine
_settings: Settings


def _open(job: Job) -> None:
    """Open the worker's engine; it lives as long as the process."""
    global _engine, _settings
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    from whet.memory import Memory

    torch.set_num_threads(1)
    _engine = Engine.from_pretrained(job.model, memory=Memory.open(job.memory), config=job.config)
    _settings = job.settings


def _end_with_parent() -> None:
    """A worker whose parent was killed would otherwise work on, and then wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _measure(text: Text) -> list[Record]:
    return list(measure(_engine, text, _settings))
