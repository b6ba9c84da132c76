"""Choosing what to learn from, and how much each choice tells about the query."""

from collections.abc import Callable

from whet.selection.base import Choice, FloatArray, Selector, Stop
from whet.selection.nearest import Nearest
from whet.selection.random import Random
from whet.selection.repeat import Repeat
from whet.selection.sift import Sift

SELECTORS: dict[str, Callable[..., Selector]] = {
    "sift": Sift,
    "nearest": Nearest,
    "random": Random,
    "repeat": Repeat,
}

__all__ = ["SELECTORS", "Choice", "FloatArray", "Nearest", "Random", "Repeat", "Selector", "Sift", "Stop"]
