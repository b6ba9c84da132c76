"""Reading what a program sends until it has ended or has used up a limit."""

from __future__ import annotations

import math
import os
import select
import time
from dataclasses import dataclass

from whet.programs.sandbox.inside.kinds import Kind
from whet.programs.sandbox.limits import Limits
from whet.programs.sandbox.outcome import Failure
from whet.programs.sandbox.server import Process

_CHUNK = 65536
_ROOM = 4096
"""Bytes of an answer besides its value."""
_PROCESS_CLOCK = 2
"""CPUCLOCK_SCHED of linux/posix-timers.h: a process's time as the scheduler counts it."""


@dataclass(frozen=True)
class Heard:
    """What a program sent: its answer, what it printed, and the limit that it broke."""

    answer: bytes
    printed: bytes
    broken: Failure | None


def listen(process: Process, limits: Limits) -> Heard:
    """Read until the program closes the channel of its answer, or breaks a limit. The process is left as it is."""
    answer, printed = bytearray(), bytearray()
    poll = select.poll()
    poll.register(process.channel, select.POLLIN)
    poll.register(process.output, select.POLLIN)
    deadline = time.monotonic() + limits.wall_seconds
    while True:
        left = min(deadline - time.monotonic(), limits.cpu_seconds - _processor_time(process.id))
        if left <= 0:
            return Heard(b"", bytes(printed), _late(limits, deadline))
        ready = {descriptor for descriptor, _ in poll.poll(math.ceil(left * 1000))}
        if process.output in ready:
            chunk = os.read(process.output, _CHUNK)
            printed += chunk
            if len(printed) > limits.output_bytes:
                words = f"it printed more than {limits.output_bytes} bytes"
                return Heard(b"", bytes(printed), Failure(Kind.OUTPUT, words))
            if not chunk:
                poll.unregister(process.output)
        elif process.channel in ready:  # only when nothing is left of what it printed before
            chunk = os.read(process.channel, _CHUNK)
            answer += chunk
            if not chunk:
                return Heard(bytes(answer), bytes(printed), None)
            if len(answer) > limits.result_bytes + _ROOM:
                words = f"the answer has more than {limits.result_bytes} bytes"
                return Heard(b"", bytes(printed), Failure(Kind.BAD_RESULT, words))


def _processor_time(process: int) -> float:
    """Seconds that a process has computed; 0 if it is gone."""
    try:
        return time.clock_gettime((~process << 3) | _PROCESS_CLOCK)
    except OSError:
        return 0.0


def _late(limits: Limits, deadline: float) -> Failure:
    if time.monotonic() >= deadline:
        return Failure(Kind.TIME, f"it ran for more than {limits.wall_seconds:g} s")
    return Failure(Kind.TIME, f"it used more than {limits.cpu_seconds:g} s of processor time")
