"""The two pictures of docs/selection.md: `python docs/selection_pictures.py` writes them beside this file.

In the first, inputs are points of the plane and the surrogate's kernel is a Gaussian of their distance, since two
dimensions of a linear one would be known after two picks. In the second they are embeddings of unit length.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

from whet.selection import BayesianLinear, Nearest, Random, Sift

mpl.use("agg")
mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
FOLDER = Path(__file__).parent
BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#8a8f98"


@dataclass(frozen=True)
class Gaussian:
    """k(a, b) = exp(−|a − b|² / 2ℓ²)."""

    length: float

    def __call__(self, a: np.ndarray, b: np.ndarray, /) -> np.ndarray:
        squared = np.square(a[..., :, None, :] - b[..., None, :, :]).sum(axis=-1)
        return np.exp(-squared / (2 * self.length**2))

    def diagonal(self, a: np.ndarray, /) -> np.ndarray:
        return np.ones(a.shape[:-1])


def plane() -> None:
    """Nearest neighbours and SIFT around one query, with what is left uncertain in the plane."""
    from matplotlib.figure import Figure

    rng = np.random.default_rng(4)
    query = np.array([0.02, 0.03])
    clump = np.array([0.42, 0.16]) + 0.035 * rng.standard_normal((9, 2))
    around = np.array(
        [[-0.45, 0.38], [0.1, -0.55], [-0.5, -0.36], [0.3, 0.62], [0.95, -0.5], [-1.05, 0.1], [-0.2, 1.0]]
    )
    far = rng.uniform(-1.3, 1.3, (30, 2))
    candidates = np.concatenate([clump, around, far[np.linalg.norm(far, axis=1) > 0.8]])
    kernel = Gaussian(0.6)
    sift = Sift(0.05, kernel=kernel).choose(candidates, query, 5).indices
    nearest = np.argsort(np.square(candidates - query).sum(axis=1), kind="stable")[:5]
    grid = np.linspace(-1.35, 1.35, 50)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    for axes, title, picks in zip(figure.subplots(1, 2), ("nearest neighbours", "SIFT"), (nearest, sift), strict=True):
        known = BayesianLinear(0.05, kernel=kernel).condition(candidates[picks])
        left = float(known.variance(query[None])[0])
        shades = axes.contourf(
            grid, grid, known.variance(points).reshape(50, 50), levels=np.linspace(0, 1, 11), cmap="Blues"
        )
        axes.scatter(*candidates.T, s=14, color="white", edgecolors=GREY, linewidths=0.8, zorder=2)
        axes.scatter(*candidates[picks].T, s=26, color=ORANGE, zorder=3)
        for place, pick in enumerate(picks, start=1):
            turn = 2 * np.pi * place / 5
            beside = (5, 4) if place < 5 else (5, -12)
            offset = beside if title == "SIFT" else (16 * np.cos(turn) - 3, 16 * np.sin(turn) - 3)
            axes.annotate(
                str(place), candidates[pick], xytext=offset, textcoords="offset points", color=ORANGE, weight="bold"
            )
        axes.scatter(*query, marker="*", s=110, color="black", zorder=4)
        axes.set(title=f"{title}: {100 * left:.0f} % left at the query", xticks=[], yticks=[])
        axes.title.set_fontsize(9.5)
        axes.set_aspect("equal")
    figure.colorbar(shades, ax=figure.axes, label="variance left", shrink=0.8, ticks=[0, 0.5, 1])
    figure.savefig(FOLDER / "selection_plane.png", dpi=130, metadata={"Software": None})


def traces() -> None:
    """Variance left at the query after each pick, without and with near-duplicates among the candidates."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, copies, title in ((left, 1, "200 candidates"), (right, 10, "20 of them, 10 near-copies of each")):
        for selector, colour, style in (
            (Random(noise=0.05), GREY, "-"),
            (Nearest(noise=0.05), ORANGE, "-"),
            (Sift(0.05), BLUE, "-"),
        ):
            runs = []
            for seed in range(30):
                candidates, query = embeddings(copies, seed)
                runs.append(selector.choose(candidates, query, 40).variances)
            mean = np.mean(runs, axis=0)
            axes.plot(mean, color=colour, linestyle=style, label=selector.name)
            axes.fill_between(range(41), *np.quantile(runs, (0.1, 0.9), axis=0), color=colour, alpha=0.15, linewidth=0)
        axes.set(title=title, xlabel="picks", ylim=(0, 1.02), xlim=(0, 40))
        axes.title.set_fontsize(9.5)
    left.set_ylabel("variance left at the query")
    left.legend(frameon=False)
    figure.savefig(FOLDER / "selection_traces.png", dpi=130, metadata={"Software": None})


def embeddings(copies: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """200 candidates of unit length around a query, `copies` near-copies of each original."""
    rng = np.random.default_rng(seed)
    query = rng.standard_normal(64)
    query /= np.linalg.norm(query)
    originals = rng.standard_normal((200 // copies, 64)) / 8 + rng.uniform(0.2, 1.0, (200 // copies, 1)) * query
    candidates = np.repeat(originals, copies, axis=0) + 0.005 * rng.standard_normal((200, 64))
    return candidates / np.linalg.norm(candidates, axis=1, keepdims=True), query


if __name__ == "__main__":
    plane()
    traces()
