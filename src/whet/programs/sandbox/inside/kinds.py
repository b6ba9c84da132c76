"""The ways in which a program can fail."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """Why a program gave no value."""

    SYNTAX = "syntax"
    """The source does not compile."""
    EXCEPTION = "exception"
    """The program raised, or lacks the function."""
    TIME = "time"
    """It ran longer than its processor time or its wall time."""
    MEMORY = "memory"
    """It asked for more memory than it may have."""
    OUTPUT = "output"
    """It printed more than it may print."""
    FORBIDDEN = "forbidden"
    """It asked the kernel for something that is denied: a file, a socket, a process, a signal."""
    BAD_RESULT = "bad result"
    """What came back is missing, too large, nested too deep or not JSON."""
    CRASH = "crash"
    """The process ended by a signal, such as a segmentation fault."""
