"""Limits of resources that the kernel keeps by itself (setrlimit(2))."""

from __future__ import annotations

import math
import resource
from pathlib import Path


def lower(which: int, value: int) -> None:
    """Set both limits of a resource, never above the limit that holds already."""
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def address_space() -> int:
    """Bytes of address space that this process uses."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def restrict(cpu_seconds: float, addresses: int) -> None:
    """Limit this process.

    Args:
        cpu_seconds: processor time. The kernel counts whole seconds: this limit only stands in for the parent, which
            ends the process on time, and comes up to two seconds later.
        addresses: bytes of address space.
    """
    lower(resource.RLIMIT_CPU, math.ceil(cpu_seconds) + 1)
    lower(resource.RLIMIT_AS, addresses)
    for which in (
        resource.RLIMIT_CORE,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_MEMLOCK,
        resource.RLIMIT_MSGQUEUE,
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_NPROC,
    ):
        lower(which, 0)
