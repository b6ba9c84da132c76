"""The two ways to make a selector out of a criterion: score the posterior, or score by what has been taken."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.selection.arrays import Array, namespace, to_numpy
from whet.selection.base import Choice, Predictions, Stop
from whet.selection.checks import checked_count, checked_noise
from whet.selection.constraints import NONE, Allowed, Constraints
from whet.selection.greedy import Scorer, follow, greedy, ordered
from whet.selection.kernels import LINEAR, Kernel
from whet.selection.posterior import WHOLE_KERNEL, Posterior
from whet.selection.problems import Problem, matched, naming
from whet.selection.twins import first_equals

AT_ONCE = 16
"""Queries that are checked and dealt with before the next ones, while their embeddings are in the processor's cache."""

TOGETHER = 2**21
"""Numbers in the kernels of the queries that are dealt with together; more would leave it."""


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
        predictions: Sequence[Predictions | None] | None = None,
    ) -> list[Choice]:
        """Choose for many queries at once; see `Selector.choose_many`.

        Raises:
            InputError: as `choose`.
        """
        n = checked_count(n)
        given = matched(candidates, queries, constraints, predictions)
        choices: list[Choice] = []
        for start in range(0, len(given), AT_ONCE):
            problems = []
            for place, (rows, query, limits, _) in enumerate(given[start : start + AT_ONCE], start=start):
                with naming(place, len(given)):
                    problems.append(Problem.checked(rows, query, limits, self.noise, self.kernel))
                    checked_count(n, available=problems[-1].most(None if self.replace else 1))
            found: dict[int, Choice] = {}
            for group in _together(problems, n):
                found.update(zip(group, self.solve([problems[i] for i in group], n, stop), strict=True))
            choices += [found[i] for i in range(len(problems))]
        return choices

    def solve(self, problems: Sequence[Problem], n: int, stop: Stop | None) -> list[Choice]:
        """For problems of one shape."""
        xp = namespace(problems[0].candidates)
        candidates = stacked(xp, [p.candidates for p in problems])
        targets = stacked(xp, [p.targets for p in problems])
        posterior = Posterior(candidates, targets, _noise(xp, problems, self.noise), n, [p.known for p in problems])
        allowed = None
        if not self.replace or any(p.constraints is not NONE for p in problems):
            allowed = Allowed(
                [p.constraints for p in problems], [p.opened for p in problems], None if self.replace else 1
            )
        twins = [first_equals(p.candidates) for p in problems]
        return greedy(posterior, n, self.score, stop=stop, allowed=allowed, twins=twins)


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
        n = checked_count(n)
        problem = Problem.checked(candidates, query, constraints or NONE, self.noise, getattr(self, "kernel", LINEAR))
        xp = namespace(problem.candidates)
        checked_count(n, available=problem.most(self.repeats))
        rows, targets = to_numpy(problem.candidates), to_numpy(problem.targets)
        allowed = Allowed([problem.constraints], [problem.opened], self.repeats)
        order = ordered(self.scorer(rows, targets, n, predictions), n, allowed, first_equals(rows))

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
        choices = []
        for place, (rows, query, limits, said) in enumerate(matched(candidates, queries, constraints, predictions)):
            with naming(place, len(queries)):
                choices.append(self.choose(rows, query, n, stop=stop, constraints=limits, predictions=said))
        return choices


def _together(problems: Sequence[Problem], n: int) -> list[list[int]]:
    """Places of the problems that are dealt with in one go: of one shape, and not too large together."""
    shapes: dict[Any, list[int]] = {}
    for place, p in enumerate(problems):
        rows = p.candidates
        key = (rows.shape, p.targets.shape, rows.dtype, rows.device, len(p.known), p.constraints is NONE)
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
