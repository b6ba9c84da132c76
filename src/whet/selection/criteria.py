"""The two ways to make a selector out of a criterion: score the posterior, or score by what has been taken."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.errors import InputError
from whet.selection.arrays import Array, namespace, to_numpy
from whet.selection.base import Choice, Predictions, Stop
from whet.selection.checks import checked_count, checked_noise, checked_vectors
from whet.selection.constraints import NONE, Allowed, Constraints, noises
from whet.selection.greedy import Scorer, follow, greedy, ordered
from whet.selection.kernels import LINEAR, Kernel
from whet.selection.posterior import WHOLE_KERNEL, Posterior
from whet.selection.surrogate import BayesianLinear

TOGETHER = 2**21
"""Numbers in the kernels of the queries that are dealt with together; more would leave the processor's cache."""


@dataclass(frozen=True)
class PosteriorSelector(ABC):
    """Greedy choice by a score of the surrogate's posterior, which every pick updates.

    A criterion is a subclass with a `name` and a `score`.

    Attributes:
        noise: λ > 0, in units of the kernel (1 for unit vectors).
        replace: whether a candidate may be picked again, as one more noisy observation.
        kernel: of the surrogate.
    """

    name: ClassVar[str]
    noise: float = 0.01
    replace: bool = False
    kernel: Kernel = field(default=LINEAR, kw_only=True)

    def __post_init__(self) -> None:
        checked_noise(self.noise)

    @abstractmethod
    def score(self, posterior: Posterior) -> Array:
        """`(B, K)`, larger for candidates that should rather be picked next."""

    def choose(
        self,
        candidates: Array,
        query: Array,
        n: int,
        *,
        stop: Stop | None = None,
        constraints: Constraints | None = None,
        predictions: Predictions | None = None,  # noqa: ARG002
    ) -> Choice:
        """Choose up to `n` candidates `(K, d)` for the query `(d,)` or `(m, d)`; see `Selector.choose`.

        Raises:
            InputError: an argument is empty, not finite, zero, or of the wrong shape, type or range; or the constraints
                rule every candidate out.
        """
        return self.choose_many([candidates], [query], n, stop=stop, constraints=[constraints])[0]

    def choose_many(
        self,
        candidates: Sequence[Array],
        queries: Sequence[Array],
        n: int,
        *,
        stop: Stop | None = None,
        constraints: Sequence[Constraints | None] | None = None,
        predictions: Sequence[Predictions | None] | None = None,  # noqa: ARG002
    ) -> list[Choice]:
        """Choose for many queries at once; see `Selector.choose_many`.

        Raises:
            InputError: as `choose`.
        """
        checked_count(n)
        problems = [
            Problem.checked(c, q, limits, self)
            for c, q, limits in zip(candidates, queries, matched(constraints, queries, candidates), strict=True)
        ]
        repeats = None if self.replace else 1
        for problem in problems:
            checked_count(n, available=problem.most(repeats))
        choices: dict[int, Choice] = {}
        for group in _together(problems, n):
            choices.update(zip(group, self.solve([problems[i] for i in group], n, stop), strict=True))
        return [choices[i] for i in range(len(problems))]

    def solve(self, problems: Sequence[Problem], n: int, stop: Stop | None) -> list[Choice]:
        """For problems of one shape."""
        xp = namespace(problems[0].candidates)
        candidates = stacked(xp, [p.candidates for p in problems])
        targets = stacked(xp, [p.targets for p in problems])
        posterior = Posterior(candidates, targets, _noise(xp, problems, self.noise), n, [p.known for p in problems])
        allowed = None
        if not self.replace or any(p.constraints is not NONE for p in problems):
            allowed = Allowed([p.constraints for p in problems], candidates, targets, None if self.replace else 1)
        return greedy(posterior, n, self.score, stop=stop, allowed=allowed)


@dataclass(frozen=True)
class OrderSelector(ABC):
    """A choice that does not ask the surrogate; the variances that its picks leave are reported all the same.

    A criterion is a subclass with a `name` and a `scorer`. No candidate is taken twice.

    Attributes:
        noise: λ > 0 of the surrogate; takes no part in the choice.
    """

    name: ClassVar[str]
    noise: float = 0.01

    def __post_init__(self) -> None:
        checked_noise(self.noise)

    @abstractmethod
    def scorer(
        self, candidates: NDArray[Any], targets: NDArray[Any], n: int, predictions: Predictions | None
    ) -> Scorer:
        """What scores the candidates `(K, d)` of a query `(m, d)` as they are taken; all are checked, and NumPy."""

    def choose(
        self,
        candidates: Array,
        query: Array,
        n: int,
        *,
        stop: Stop | None = None,
        constraints: Constraints | None = None,
        predictions: Predictions | None = None,
    ) -> Choice:
        """Choose up to `n` candidates `(K, d)` for the query `(d,)` or `(m, d)`; see `Selector.choose`.

        Raises:
            InputError: an argument is empty, not finite, zero, or of the wrong shape, type or range; the constraints
                rule every candidate out; or `n` is above the number of candidates.
        """
        checked_count(n)
        problem = Problem.checked(candidates, query, constraints or NONE, self)
        xp = namespace(problem.candidates)
        checked_count(n, available=problem.most(self.repeats))
        rows, targets = to_numpy(problem.candidates), to_numpy(problem.targets)
        allowed = Allowed([problem.constraints], rows[None], targets[None], self.repeats)
        order = ordered(self.scorer(rows, targets, n, predictions), n, allowed)

        def posterior(distinct: NDArray[np.int64]) -> Posterior:
            noise = problem.noises(self.noise)[distinct]
            return Posterior(
                problem.candidates[distinct][None],
                problem.targets[None],
                xp.asarray(noise[None], dtype=problem.candidates.dtype, device=problem.candidates.device),
                len(order),
                [problem.known],
            )

        return follow(posterior, order, stop, exhausted=len(order) < n)

    @property
    def repeats(self) -> int | None:
        """The most picks of one candidate unless the constraints say otherwise; None is any number."""
        return 1

    def choose_many(
        self,
        candidates: Sequence[Array],
        queries: Sequence[Array],
        n: int,
        *,
        stop: Stop | None = None,
        constraints: Sequence[Constraints | None] | None = None,
        predictions: Sequence[Predictions | None] | None = None,
    ) -> list[Choice]:
        """Choose for many queries; see `Selector.choose_many`.

        Raises:
            InputError: as `choose`.
        """
        limits = matched(constraints, queries, candidates)
        said = [None] * len(queries) if predictions is None else predictions
        return [
            self.choose(c, q, n, stop=stop, constraints=limit, predictions=p)
            for c, q, limit, p in zip(candidates, queries, limits, said, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Problem:
    """One query, checked.

    Attributes:
        candidates: `(K, d)`.
        targets: `(m, d)`.
        constraints: what may be picked.
        known: the surrogate with what is known already.
    """

    candidates: Array
    targets: Array
    constraints: Constraints
    known: BayesianLinear

    @property
    def plain(self) -> bool:
        """Whether nothing is asked but which candidates may be picked how often, of NumPy arrays."""
        c = self.constraints
        bare = c.cost is None and c.budget is None and c.group is None and c.known is None
        return bare and isinstance(self.candidates, np.ndarray)

    def noises(self, default: float) -> NDArray[np.float64]:
        """`(K,)`, λ of each candidate."""
        return noises(self.constraints, len(self.candidates), default)

    def left(self, repeats: int | None) -> NDArray[np.int64]:
        """`(K,)`, how often each candidate may be picked; `repeats` unless the constraints say."""
        if self.constraints is NONE:
            return np.full(len(self.candidates), repeats or 2**53)
        allowed = Allowed([self.constraints], self.candidates[None], self.targets[None], repeats)
        left: NDArray[np.int64] = allowed.left()[0]
        return left

    @classmethod
    def checked(
        cls, candidates: Array, query: Array, constraints: Constraints, selector: PosteriorSelector | OrderSelector
    ) -> Problem:
        least = selector.noise if constraints.noise is None else float(np.min(constraints.noise, initial=math.inf))
        rows, targets = checked_vectors(candidates, query, least)
        known = BayesianLinear(selector.noise, kernel=getattr(selector, "kernel", LINEAR))
        if constraints.known is not None:
            context, _ = checked_vectors(constraints.known, targets, selector.noise)
            known = known.condition(context)
        return cls(rows, targets, constraints, known)

    def most(self, repeats: int | None) -> int | None:
        """The most picks that there could be, if each candidate is taken `repeats` times unless the constraints say."""
        each = self.constraints.repeats or repeats
        return None if each is None else each * len(self.candidates)


def matched(
    constraints: Sequence[Constraints | None] | None, queries: Sequence[Array], candidates: Sequence[Array]
) -> list[Constraints]:
    """One set of constraints for each query.

    Raises:
        InputError: there are not equally many of candidates, queries and constraints.
    """
    limits = [None] * len(queries) if constraints is None else constraints
    if not len(candidates) == len(queries) == len(limits):
        raise InputError(
            f"there are {len(queries)} queries, {len(candidates)} sets of candidates and {len(limits)} of constraints: "
            "give one of each for every query."
        )
    return [limit or NONE for limit in limits]


def _together(problems: Sequence[Problem], n: int) -> list[list[int]]:
    """Places of the problems that are dealt with in one go: of one shape, and not too large together."""
    shapes: dict[Any, list[int]] = {}
    for place, p in enumerate(problems):
        key = (p.candidates.shape, p.targets.shape, p.candidates.dtype, len(p.known), p.constraints is NONE)
        shapes.setdefault(key, []).append(place)
    groups: list[list[int]] = []
    for (shape, *_), places in shapes.items():
        lazily = shape[0] > WHOLE_KERNEL * n
        size = 1 if lazily else max(1, TOGETHER // shape[0] ** 2)
        groups += [places[i : i + size] for i in range(0, len(places), size)]
    return groups


def stacked(xp: Any, arrays: Sequence[Array]) -> Array:
    """`(B, …)`; a single array is not copied."""
    return arrays[0][None] if len(arrays) == 1 else xp.stack(list(arrays))


def _noise(xp: Any, problems: Sequence[Problem], default: float) -> float | Array:
    if all(p.constraints.noise is None for p in problems):
        return default
    like = problems[0].candidates
    each = np.stack([p.noises(default) for p in problems])
    return xp.asarray(each, dtype=like.dtype, device=like.device)
