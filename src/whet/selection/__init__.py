"""Choosing what to learn from, and how much each choice tells about the query."""

from collections.abc import Callable

from whet.selection.arrays import Array, FloatArray
from whet.selection.base import Choice, Predictions, Selector, Stop
from whet.selection.constraints import Constraints
from whet.selection.kernels import Kernel, Linear
from whet.selection.nearest import Nearest
from whet.selection.posterior import Posterior
from whet.selection.random import Random
from whet.selection.repeat import Repeat
from whet.selection.sift import Sift, Vtl
from whet.selection.surrogate import BayesianLinear

SELECTORS: dict[str, Callable[..., Selector]] = {
    "sift": Sift,
    "vtl": Vtl,
    "nearest": Nearest,
    "random": Random,
    "repeat": Repeat,
}

__all__ = [
    "SELECTORS",
    "Array",
    "BayesianLinear",
    "Choice",
    "Constraints",
    "FloatArray",
    "Kernel",
    "Linear",
    "Nearest",
    "Posterior",
    "Predictions",
    "Random",
    "Repeat",
    "Selector",
    "Sift",
    "Stop",
    "Vtl",
]
