"""What a search for programs finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Solution:
    """A program that reproduces every training pair.

    Attributes:
        program: its text; `run` runs it.
        cost: how unlikely it is; smaller is better.
        predictions: its outputs for the tests.
        found: the mechanism that found it.
    """

    program: str
    cost: float
    predictions: list[npt.NDArray[np.uint8]]
    found: str
