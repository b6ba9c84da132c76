"""How the C library keeps memory that a pass gives back."""

from __future__ import annotations

import ctypes
from functools import cache

_TRIM, _TOP_PAD, _MMAP = -1, -2, -3  # names of mallopt(3)


@cache
def keep_freed_memory() -> None:
    """Let memory that a pass frees stay with the process for the next one, where the C library is glibc.

    A training pass asks for the same large pieces again and again. By default each goes back to the system and comes
    again page by page, zeroed: a tenth of the time of a step. What stays is bounded by the largest pass.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(_MMAP, 2**25)
    mallopt(_TRIM, 2**29)
    mallopt(_TOP_PAD, 2**26)
