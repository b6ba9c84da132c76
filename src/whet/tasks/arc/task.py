"""A task as its solvers see it: demonstrations of a rule and the inputs to apply it to, without the answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from whet.errors import InputError, RecordError
from whet.tasks.arc.grids import Grid, as_grid, content


class _ByContent:
    """Equal if of one class and of equal content: arrays have no equality of their own that a dataclass can use."""

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """The whole content."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and type(other) is type(self) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, eq=False)
class Pair(_ByContent):
    """A demonstration.

    Raises:
        InputError: a side is no grid.
    """

    input: Grid
    output: Grid

    def __post_init__(self) -> None:
        object.__setattr__(self, "input", as_grid(self.input, "input"))
        object.__setattr__(self, "output", as_grid(self.output, "output"))

    @property
    def key(self) -> Hashable:
        """The content of both sides."""
        return content(self.input), content(self.output)


@dataclass(frozen=True, eq=False)
class ArcTask(_ByContent):
    """Demonstrations and test inputs. It has no place for test outputs: only the judge opens them (`scoring`).

    Raises:
        InputError: there is no demonstration or no test input, or a test input is no grid.
    """

    id: str
    train: tuple[Pair, ...]
    test: tuple[Grid, ...]

    def __post_init__(self) -> None:
        if not self.train:
            raise InputError(f"the task {self.id!r} has no training pair; give at least one.")
        if not self.test:
            raise InputError(f"the task {self.id!r} has no test input; give at least one.")
        object.__setattr__(self, "test", tuple(as_grid(grid, f"test[{i}].input") for i, grid in enumerate(self.test)))

    @property
    def key(self) -> Hashable:
        """The id and the content of all grids."""
        return self.id, tuple(pair.key for pair in self.train), tuple(map(content, self.test))

    @property
    def largest_side(self) -> int:
        """Of all its grids that are known, in cells."""
        grids = [grid for pair in self.train for grid in (pair.input, pair.output)]
        return max(int(side) for grid in (*grids, *self.test) for side in grid.shape)

    def as_json(self) -> dict[str, Any]:
        """`{"train": [{"input": …, "output": …}], "test": [{"input": …}]}`, with grids as lists of rows."""
        return {
            "train": [{"input": pair.input.tolist(), "output": pair.output.tolist()} for pair in self.train],
            "test": [{"input": grid.tolist()} for grid in self.test],
        }


@dataclass(frozen=True, eq=False)
class Episode(_ByContent):
    """A task whose answer is known, to learn from: demonstrations, and one pair to predict from them."""

    demonstrations: tuple[Pair, ...]
    target: Pair

    @property
    def key(self) -> Hashable:
        """The content of all pairs, in their order."""
        return tuple(pair.key for pair in self.demonstrations), self.target.key


def parse_task(task_id: str, raw: object, where: str) -> ArcTask:
    """A task from JSON as ARC has it; its test outputs, if any, are not looked at.

    Args:
        task_id: its id.
        raw: the parsed JSON.
        where: the file, for messages.

    Raises:
        RecordError: a key, a pair or a cell is missing or wrong; the message names the file and which.
    """
    try:
        train = tuple(
            Pair(*(as_grid(_entry(raw, "train", i, side), f"train[{i}].{side}") for side in ("input", "output")))
            for i in range(_count(raw, "train"))
        )
        test = tuple(as_grid(_entry(raw, "test", i, "input"), f"test[{i}].input") for i in range(_count(raw, "test")))
        return ArcTask(task_id, train, test)
    except InputError as error:
        raise RecordError(f"{where}: {error}") from error


def _count(raw: object, part: str) -> int:
    if not isinstance(raw, dict) or not isinstance(raw.get(part), list):
        raise InputError(f"this is no ARC task: there is no list {part!r}; give {{'train': …, 'test': …}}.")
    return len(raw[part])


def _entry(raw: Any, part: str, index: int, side: str) -> object:
    pair = raw[part][index]
    if not isinstance(pair, dict) or side not in pair:
        raise InputError(f"{part}[{index}] has no {side!r}; add the grid, or take the pair out.")
    return pair[side]
