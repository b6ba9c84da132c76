"""How much a program may use."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from whet.errors import InputError


@dataclass(frozen=True)
class Limits:
    """Limits of one run of a program.

    Args:
        cpu_seconds: processor time.
        wall_seconds: time on the clock, for a program that sleeps; on a busy machine a program that computes needs
            more of it than processor time.
        memory_bytes: address space beyond what the imported modules use.
        output_bytes: what it may print.
        result_bytes: the value as JSON.

    Raises:
        InputError: a limit is not positive and finite.
    """

    cpu_seconds: float = 2.0
    wall_seconds: float = 10.0
    memory_bytes: int = 512 * 2**20
    output_bytes: int = 64 * 2**10
    result_bytes: int = 2**20

    def __post_init__(self) -> None:
        """Check every limit."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{field.name} is {value}, but a limit must be positive and finite; give one.")
