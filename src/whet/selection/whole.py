"""SIFT over a whole memory: no nearest neighbours are taken beforehand, and yet the memory is read only a few times."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whet.errors import InputError
from whet.selection.arrays import FloatArray
from whet.selection.base import Choice, Stop
from whet.selection.checks import checked_count, checked_noise, checked_vectors, refuse_rows
from whet.selection.constraints import Constraints, open_rows
from whet.selection.field import Field, Path, Step, products
from whet.selection.greedy import choice_of

FEWEST_AHEAD, MOST_AHEAD = 8, 32
"""How many picks are guessed at once."""
SCAN_ROWS, CHECKED_ROWS = 512, 2**15


@dataclass(frozen=True, eq=False)
class WholeChoice:
    """What was chosen out of a whole memory, and how good it is.

    Attributes:
        choice: the picks; its indices are rows of the matrix.
        reads: how many times the matrix was read, the first scan included.
        certificate: `(n,)` float64, for each pick its share of the largest gain of any row at that step, after the
            picks before it; 1 is best.
    """

    choice: Choice
    reads: int
    certificate: NDArray[np.float64]


def choose_from_all(
    matrix: FloatArray,
    query: FloatArray,
    n: int,
    *,
    noise: float = 0.01,
    replace: bool = True,
    exclude: ArrayLike = (),
    stop: Stop | None = None,
    exact: bool = True,
) -> WholeChoice:
    """Choose by SIFT among all rows of a matrix, which is never copied and may lie on disk (`np.memmap`).

    x_{n+1} = argmax_x Σ_a k_n(a, x)² / (k_n(x, x) + λ), as `Sift`, over every row. The next picks are guessed: a greedy
    choice goes ahead among the few rows that would tell most now. One reading gives the inner products of all rows with
    all guessed picks; these are taken as long as each is the best of all rows. At the first that is not, the best is
    known, and guessing begins anew. So all picks are the true ones. Rows that tie within the rounding of the dtype are
    compared in float64, and the lowest index wins a tie; where more than 1024 tie so, it is one of them.

    Source of the criterion: Hübotter et al. 2025, arXiv 2410.08020. Memory besides the matrix: O(R (m + 32)). Threads:
    those of NumPy's BLAS. Bounds by the inequality of Cauchy and Schwarz, |k_n(x, y)|² ≤ k_n(x, x) k_n(y, y), on what a
    pick can change are not used: on embeddings of text they spare no row its reading until λ nears the squared lengths.

    Args:
        matrix: the candidates `(R, d)`, one embedding a row, float32 or float64; used as given, not normalised.
        query: `(d,)`, or `(m, d)` for several vectors that are to be known together; of the same dtype.
        n: number of picks, at least 1.
        noise: λ > 0, in units of the kernel (1 for unit vectors).
        replace: whether a row may be picked again, as one more noisy observation.
        exclude: rows that are never picked, or a mask `(R,)` of them.
        stop: asked before each pick.
        exact: without it, all picks are guesses among the rows that would tell most at first. The matrix is read twice;
            the second reading only measures the certificate.

    Raises:
        InputError: an argument is empty, not finite, zero, or of the wrong shape, type or range; or all is excluded.

    >>> import numpy as np
    >>> matrix = np.array([[1.0, 0.0], [0.99, 0.1], [0.5, 0.8]])
    >>> whole = choose_from_all(matrix, np.array([0.9, 0.4]), 2)
    >>> whole.choice.indices.tolist(), whole.choice.variances.round(3).tolist(), whole.certificate.tolist()
    ([1, 2], [1.0, 0.107, 0.007], [1.0, 1.0])
    """
    checked_noise(noise)
    checked_count(n)
    if not isinstance(matrix, np.ndarray):
        raise InputError(f"matrix is a {type(matrix).__name__}: give a NumPy array, or a np.memmap.")
    rows = np.asarray(matrix)  # a plain view of a memmap
    targets = checked_vectors(rows[:1], query, noise, name="rows of matrix").targets
    barred = np.empty(0, np.int64)
    if np.size(exclude):
        barred = np.flatnonzero(~open_rows(Constraints(exclude=exclude), rows, targets))
    if not replace:
        checked_count(n, available=len(rows) - len(barred))
    whole = _scanned(rows, targets, noise, barred, replace)
    path = Path(targets, noise, n)
    if exact:
        choice = _greedy(path, whole, stop)
        return WholeChoice(choice, whole.reads, np.ones(path.count))
    active = whole.most_telling(n)
    choice = _greedy(path, active, stop)
    whole.barred = np.concatenate([barred, active.rows])  # the best of the active rows is the pick itself
    return WholeChoice(choice, 2, _certificate(whole, path))


@dataclass(eq=False)
class _Whole(Field):
    """The field over the whole matrix, which is read for many picks at once."""

    reads: int = 1
    _ahead: deque[tuple[Step, FloatArray]] = field(default_factory=deque)  # guesses, with their products with all rows
    _right: int = 0  # picks since the last reading

    def observe(self, step: Step, path: Path) -> None:
        """Take account of the last pick; reads the matrix if it was not foreseen."""
        if not self._ahead or self._ahead[0][0].row != step.row:
            # Of the picks that are still to come, the last needs no products.
            width = min(max(2 * self._right, FEWEST_AHEAD), MOST_AHEAD, path.n - path.count)
            steps = self._guessed(step, path, width)
            columns = products(self.vectors, np.stack([s.direction for s in steps]))
            self._ahead = deque(zip(steps, columns, strict=True))
            self._right = 0
            self.reads += 1
        _, column = self._ahead.popleft()
        self.update(step.row, step.effect, column)
        self._right += 1

    def _guessed(self, step: Step, path: Path, width: int) -> list[Step]:
        """The last pick, and those that would follow if there were only the rows that tell most now."""
        start, active, steps = path.count, self.most_telling(width), [step]
        while len(steps) < width:
            active.observe(steps[-1], path)
            steps.append(active.best(path))
            path.take(steps[-1])
        path.count = start
        return steps


def _greedy(path: Path, rows: Field, stop: Stop | None) -> Choice:
    """Pick until the path is full or the stop rule ends it."""
    prior, variance, stopped = float(np.square(path.targets).sum()), 1.0, False
    while path.count < path.n:
        step = rows.best(path)
        proposed = max(variance - float(np.square(step.effect).sum()) / prior, 0.0)
        stopped = stop is not None and stop(path.count, variance, proposed)
        if stopped:
            break
        variance = proposed
        path.take(step)
        if path.count < path.n:
            rows.observe(step, path)
    gains = np.square(path.effects[: path.count]).sum(axis=1) / prior
    return choice_of(path.rows[: path.count], gains, stopped=stopped)


def _certificate(whole: Field, path: Path) -> NDArray[np.float64]:
    """`(count,)`, what share of the largest gain each pick has; `whole` stands before the first, and is used up."""
    count, picks = path.count, path.rows[: path.count]
    rivals = picks.copy()
    largest = np.full(count, -1.0)
    for start in range(0, len(whole.rows), CHECKED_ROWS):
        here = (whole.barred >= start) & (whole.barred < start + CHECKED_ROWS)
        rows = whole.part(slice(start, start + CHECKED_ROWS), whole.barred[here] - start)
        columns = products(rows.vectors, path.directions[:count])
        for i in range(count):
            gains = rows.gains()
            place = int(gains.argmax())
            if gains[place] > largest[i]:
                largest[i], rivals[i] = gains[place], rows.rows[place]
            rows.update(int(picks[i]), path.effects[i], columns[i])
    own = np.square(path.effects[:count]).sum(axis=1)
    others = np.array([path.gains(whole.vectors[[rival]], i)[0] for i, rival in enumerate(rivals)])
    share = np.ones(count)
    np.divide(own, others, out=share, where=(own < others) & (rivals != picks))
    return share


def _scanned(matrix: FloatArray, targets: FloatArray, noise: float, barred: NDArray[np.int64], replace: bool) -> _Whole:
    """The field before any pick, out of one reading, which also finds the rows that cannot be used.

    Raises:
        InputError: a row is zero or not finite, or the noise drowns in the rounding.
    """
    covariance = np.empty((len(targets), len(matrix)), matrix.dtype)
    squared = np.empty(len(matrix), matrix.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(matrix), SCAN_ROWS):
            part = slice(start, start + SCAN_ROWS)
            block = matrix[part]
            np.einsum("rd,rd->r", block, block, out=squared[part])  # NaN, infinity and overflow all show here
            covariance[:, part] = (block @ targets.T).T
    refuse_rows("matrix", matrix, squared, np.isfinite(squared) & (squared > 0))
    longest = int(squared.argmax())
    checked_vectors(matrix[longest : longest + 1], targets, noise, name="rows of matrix")
    # The rounding of an inner product of d terms grows like √d; measured, it is some ten times less than this.
    off = float(np.finfo(matrix.dtype).eps) * float(np.sqrt(matrix.shape[1] * squared[longest]))
    rounding = off * float(np.linalg.norm(targets)), 2 * off * float(np.sqrt(squared[longest]))
    np.add(squared, matrix.dtype.type(noise), out=squared)
    return _Whole(matrix, np.arange(len(matrix)), covariance, squared, rounding, replace, barred)
