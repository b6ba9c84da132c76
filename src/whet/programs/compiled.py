"""Loops over cells as machine code."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar, cast

from whet.errors import MissingExtraError

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function as machine code, kept on disk between runs.

    Raises:
        MissingExtraError: numba is not installed.
    """
    if find_spec("numba") is None:
        raise MissingExtraError("Programs over grids need numba: pip install 'whet[fast]'.")
    from numba import njit

    return cast(Function, njit(cache=True, nogil=True)(function))
