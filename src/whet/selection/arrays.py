"""NumPy and torch under the names that they share, so that the algebra is written once for both."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.errors import InputError

Array = Any
"""A NumPy array, or a torch tensor on any device. One kind goes into a computation, and the same kind comes out."""

FloatArray = NDArray[np.floating[Any]]


def namespace(array: Array) -> ModuleType:
    """`numpy` or `torch`, whichever made the array; torch is not imported for it.

    Raises:
        InputError: it is neither.
    """
    if isinstance(array, np.ndarray):
        return np
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        return torch
    raise InputError(f"a {type(array).__name__} is neither a NumPy array nor a torch tensor; convert it to one.")


def to_numpy(array: Array) -> NDArray[Any]:
    """The same values as a NumPy array."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.detach().cpu().numpy())


def contiguous(array: Array) -> Array:
    """The same values with the last axis densest; not copied if they are so already."""
    return np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array.contiguous()


def wide(array: Array) -> Array:
    """The same values in float64."""
    return array.astype(np.float64, copy=False) if isinstance(array, np.ndarray) else array.double()


def solve_lower(factor: Array, right: Array) -> Array:
    """`factor⁻¹ @ right` for a lower triangular `factor`, `(n, n)` and `(n, p)`."""
    if isinstance(factor, np.ndarray):
        from scipy.linalg import solve_triangular

        return solve_triangular(factor, right, lower=True, check_finite=False)
    return namespace(factor).linalg.solve_triangular(factor, right, upper=False)


def unit_rows(rows: NDArray[Any]) -> NDArray[np.float64]:
    """`(p, d)` in float64, each divided by its length; none is zero."""
    unit: NDArray[np.float64] = rows.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit
