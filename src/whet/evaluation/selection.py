"""One selection from a memory with everything that explains it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from whet.control import Meter
from whet.errors import InputError
from whet.memory import Candidates, Memory
from whet.selection import SELECTORS, Choice, Constraints, Explanation, Nearest, Random, explain
from whet.selection.whole import choose_from_all
from whet.types import Example

_DRAWS = 20
"""Random draws whose mean variance is the trace called random."""


@dataclass(frozen=True)
class Limits:
    """What a selection from a memory must keep to.

    Attributes:
        near_copy: examples whose cosine to the query is at least this are left out; 1 leaves out none.
        per_source: the most different examples from one source.
        source: field of an example's meta that names its source; an example without it is a source of its own.
        characters: the most that the picks may have together; gains are then compared per character.
    """

    near_copy: float = 0.98
    per_source: int | None = None
    source: str = "path"
    characters: int | None = None

    def constraints(self, examples: Sequence[Example]) -> Constraints:
        """The same for these candidates.

        Raises:
            InputError: a number is out of range, or no example has the field.
        """
        if self.per_source is not None and not any(self.source in example.meta for example in examples):
            fields = sorted({field for example in examples for field in example.meta})
            raise InputError(
                f"source={self.source!r}: no candidate has this field in its meta; "
                + (f"they have {', '.join(fields)}." if fields else "they have no meta at all.")
            )
        return Constraints(
            near_copy=None if self.near_copy == 1 else self.near_copy,
            group=None if self.per_source is None else [self._source(example) for example in examples],
            per_group=self.per_source,
            cost=None if self.characters is None else [len(example.text) for example in examples],
            budget=self.characters,
        )

    def _source(self, example: Example) -> str:
        return str(example.meta.get(self.source, example.id))


@dataclass(frozen=True, eq=False)
class Selection:
    """What was chosen for a query, and why.

    Attributes:
        query: the text.
        selector: its name and λ, such as `sift(0.1)`.
        candidates: what was chosen from, the nearest first; of a choice from the whole memory the nearest, and then
            the picks that are not among them.
        whole: whether the choice was from the whole memory.
        choice: rows of the candidates.
        explanation: of the choice; as many neighbours as picks were asked for.
        examples: by row, those that the explanation speaks of.
        traces: variance left before any pick and after each, as a share of the prior variance: of this selector, of
            nearest neighbours, and in the mean over random draws, all from these candidates under these limits.
        memory: number of examples in the memory.
        seconds: by phase.
    """

    query: str
    selector: str
    candidates: Candidates
    whole: bool
    choice: Choice
    explanation: Explanation
    examples: Mapping[int, Example]
    traces: Mapping[str, tuple[float, ...]]
    memory: int
    seconds: Mapping[str, float]

    def words(self) -> list[str]:
        """What was done, what it leaves unknown, and what the reader should know, in sentences."""
        picks = self.explanation.picks
        left = {name: f"{100 * trace[-1]:.1f}%" for name, trace in self.traces.items()}
        others = ", ".join(f"{name} {rest}" for name, rest in left.items() if name != self.selector)
        seconds = ", ".join(f"{phase} {spent:.2f}" for phase, spent in self.seconds.items())
        among = "all" if self.whole else f"the nearest {len(self.candidates.ids):,} of"
        said = [
            f"{len(picks)} picks by {self.selector} from {among} {self.memory:,} examples, in "
            f"{sum(self.seconds.values()):.2f} s ({seconds}).",
            f"They leave {left[self.selector]} of the query's variance ({others}).",
        ]
        if self.choice.exhausted:
            said.append("The limits left nothing more to pick.")
        return said


_USUAL = Limits()


def select(
    memory: Memory,
    query: str,
    *,
    selector: str = "sift",
    noise: float = 0.1,
    picks: int = 10,
    candidates: int = 200,
    limits: Limits = _USUAL,
    whole: bool = False,
) -> Selection:
    """Choose what a memory tells about a query, and say why.

    Args:
        memory: where from.
        query: a text.
        selector: a name in `whet.selection.SELECTORS`.
        noise: λ of the surrogate.
        picks: the most examples to choose.
        candidates: how many of the nearest examples to choose from.
        limits: what the choice must keep to.
        whole: choose from all examples, as SIFT and with `limits.near_copy` only; `candidates` is then the number of
            neighbours that it is compared with.

    Raises:
        InputError: an argument is out of range, or the query is blank.
        EmptyMemoryError: there is no example.
    """
    if selector not in SELECTORS:
        raise InputError(f"selector={selector!r}: give one of {', '.join(sorted(SELECTORS))}.")
    chosen = SELECTORS[selector](noise=noise)
    meter = Meter()
    if whole:
        _check_whole(selector, limits)
    with meter.phase("embed"):
        vector = memory.embed([query])[0]
    with meter.phase("search"):
        found = memory.search(vector, candidates)
    with meter.phase("select"):
        constraints = limits.constraints([] if whole else memory.get(found.ids))
        if whole:
            found, choice = _from_all(memory, found, picks, noise, constraints.near_copy)
        else:
            choice = chosen.choose(found.vectors, found.query, picks, constraints=constraints)
    with meter.phase("explain"):
        explanation = explain(found.vectors, found.query, choice, noise=noise, nearest=picks, constraints=constraints)
        name = f"{selector}({noise:g})"
        traces = {name: tuple(choice.variances.tolist()), **_baselines(found, noise, picks, constraints)}
        traces.pop(selector, None)  # a baseline itself
        rows = [*dict.fromkeys(pick.row for pick in explanation.picks), *(p.row for p in explanation.passed_over)]
        examples = dict(zip(rows, memory.get([found.ids[row] for row in rows]), strict=True))
    return Selection(
        query=query,
        selector=name,
        candidates=found,
        whole=whole,
        choice=choice,
        explanation=explanation,
        examples=examples,
        traces=traces,
        memory=len(memory),
        seconds=meter.cost().seconds,
    )


def _check_whole(selector: str, limits: Limits) -> None:
    if selector != "sift":
        raise InputError(f"selector={selector!r}: only sift can choose from the whole memory; choose from candidates.")
    if limits.per_source is not None or limits.characters is not None:
        raise InputError("whole: a choice from the whole memory keeps to no limit but near_copy; leave the others out.")


def _from_all(
    memory: Memory, found: Candidates, picks: int, noise: float, near_copy: float | None
) -> tuple[Candidates, Choice]:
    """The choice from all examples, as one from the neighbours found and the picks that are not among them."""
    ids, matrix = memory.vectors
    barred = np.flatnonzero(matrix @ found.query >= (math.inf if near_copy is None else near_copy))
    choice = choose_from_all(matrix, found.query, picks, noise=noise, exclude=barred).choice
    places = {id: place for place, id in enumerate(found.ids)}
    for row in choice.indices.tolist():
        places.setdefault(ids[row], len(places))
    rows = dict(zip(ids, range(len(ids)), strict=True))
    vectors = matrix[[rows[id] for id in places]]
    indices = np.array([places[ids[row]] for row in choice.indices], np.int64)
    similarities = (vectors.astype(np.float64) @ found.query).astype(np.float32)
    return Candidates(tuple(places), vectors, similarities, found.query), replace(choice, indices=indices)


def _baselines(found: Candidates, noise: float, picks: int, constraints: Constraints) -> dict[str, tuple[float, ...]]:
    n = min(picks, len(found.ids))

    def trace(selector: Nearest | Random) -> np.ndarray:
        return selector.choose(found.vectors, found.query, n, constraints=constraints).variances

    draws = [trace(Random(noise, seed=seed)) for seed in range(_DRAWS)]
    shortest = min(map(len, draws))  # a budget may end them at different lengths
    mean = np.mean([draw[:shortest] for draw in draws], axis=0)
    return {"nearest": tuple(trace(Nearest(noise)).tolist()), "random": tuple(mean.tolist())}
