"""Where the picks of a selection lie among its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.figures import INK, Svg, canvas, legend, method_colour, to_svg
from whet.selection import Explanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ANGLES = np.radians([45, 135, -45, -135, 0, 90, 180, -90])
_RADII = (9.0, 15.0, 22.0, 30.0)
"""Where a number may stand beside its point, in 1/72 inch, the first choice first."""

_DIGIT, _LINE = 5.5, 9.0
"""Width of a digit and height of a line of a number."""


def plane(vectors: NDArray[np.floating], query: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Candidates `(K, d)` in a plane, `(K, 2)`: cosine to the query `(d,)`, and place along a direction across it.

    That direction is the first principal one of the candidates' unit vectors without their part along the query. The
    candidate of largest cosine is not below 0.

    Returns:
        The points, and the share of the variation across the query that this direction has.
    """
    unit = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    towards = query / np.linalg.norm(query.astype(np.float64))
    cosine = unit @ towards
    rest = unit - cosine[:, None] * towards
    rest -= rest.mean(axis=0)
    _, scale, directions = np.linalg.svd(rest, full_matrices=False)
    across = rest @ directions[0]
    if across[cosine.argmax()] < 0:
        across = -across
    total = float(np.square(scale).sum())
    return np.stack([cosine, across], axis=1), float(scale[0] ** 2 / total) if total else 0.0


def selection_plane(points: NDArray[np.float64], share: float, explanation: Explanation, selector: str) -> Svg:
    """Candidates in the plane, the picks numbered in order, and the nearest neighbours that were passed over.

    Args:
        points: `(K, 2)`, of `plane`.
        share: likewise.
        explanation: of the choice among them.
        selector: its name, for the colour.
    """
    figure, axes = canvas(4.4)
    picked: dict[int, list[int]] = {}
    for number, pick in enumerate(explanation.picks, start=1):
        picked.setdefault(pick.row, []).append(number)
    excluded = [passed.row for passed in explanation.passed_over if passed.reason == "excluded"]
    passed = [passed.row for passed in explanation.passed_over if passed.reason != "excluded"]
    axes.plot(*points.T, "o", markersize=3, color=INK, alpha=0.35, markeredgewidth=0, label="candidates")
    blue = method_colour("nearest")
    for rows, marker, label in ((passed, "s", "near, passed over"), (excluded, "x", "near, excluded")):
        if rows:
            axes.plot(*points[rows].T, marker, markersize=6, markerfacecolor="none", color=blue, label=label)
    axes.plot(*points[list(picked)].T, "o", markersize=6, color=method_colour(selector), label="picks")
    axes.set_xlabel("cosine to the query")
    axes.set_ylabel(f"first principal direction of the rest ({100 * share:.0f}%)")
    axes.grid(color=INK, alpha=0.12)
    axes.set_axisbelow(True)
    legend(figure, axes)
    figure.draw_without_rendering()  # settles where the axes stand
    _number(axes, points[list(picked)], [",".join(map(str, numbers)) for numbers in picked.values()])
    return to_svg(figure)


def _number(axes: Axes, points: NDArray[np.float64], labels: Sequence[str]) -> None:
    """Write a label beside each point, where it covers as little as can be of other points and labels."""
    places = axes.transData.transform(points) * 72 / axes.figure.dpi
    taken = [(x, y, 7.0, 7.0) for x, y in places]
    for (x, y), point, label in zip(places, points, labels, strict=True):
        width = _DIGIT * len(label)
        offsets = [(r + (width - _DIGIT) / 2 * abs(np.cos(a)), a) for r in _RADII for a in _ANGLES]
        boxes = [(x + r * np.cos(a), y + r * np.sin(a), width, _LINE) for r, a in offsets]
        best = min(range(len(boxes)), key=lambda i: sum(_overlap(boxes[i], box) for box in taken))
        taken.append(boxes[best])
        axes.annotate(
            label,
            point,
            (boxes[best][0] - x, boxes[best][1] - y),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9,
            fontweight="bold",
            color=INK,
            arrowprops={"arrowstyle": "-", "color": INK, "alpha": 0.5, "linewidth": 0.7, "shrinkA": 4, "shrinkB": 3},
        )


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Area that two boxes share, each given by its middle, width and height."""
    return float(np.prod([max(0.0, (a[i + 2] + b[i + 2]) / 2 - abs(a[i] - b[i])) for i in (0, 1)]))
