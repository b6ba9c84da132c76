"""A seccomp filter that allows a short list of system calls and denies every other one with EPERM (seccomp(2))."""

from __future__ import annotations

import ctypes
import errno
import struct

from .architecture import Architecture
from .libc import prctl, syscall

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # of linux/bpf_common.h, with BPF_W, BPF_ABS, BPF_JMP, BPF_K
_NUMBER, _AUDIT = 0, 4  # offsets in struct seccomp_data
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_NO_NEW_PRIVS = 38
_X32 = 0x40000000
_STEP = struct.Struct("=HBBI")


def is_available(architecture: Architecture) -> bool:
    """Whether this kernel takes filters and can kill a whole process (Linux 4.14)."""
    action = ctypes.c_uint32(_KILL)
    try:
        syscall(architecture.seccomp, _GET_ACTION_AVAIL, 0, ctypes.addressof(action))
    except OSError:
        return False
    return True


class Filter:
    """The filter of an architecture, in memory before it is needed: a forked process pays for every page it touches.

    A call by another instruction set, which numbers calls differently, kills the process; so does one of x32, which
    shares x86-64's name.
    """

    def __init__(self, architecture: Architecture) -> None:
        self._number = architecture.seccomp
        steps = assemble(architecture)
        self._steps = ctypes.create_string_buffer(steps, len(steps))
        count = len(steps) // _STEP.size
        self._header = ctypes.create_string_buffer(struct.pack("@HP", count, ctypes.addressof(self._steps)))

    def restrict(self) -> None:
        """Put the filter on this process, for good.

        Raises:
            OSError: the kernel refused it.
        """
        prctl(_NO_NEW_PRIVS, 1)
        syscall(self._number, _SET_MODE_FILTER, 0, ctypes.addressof(self._header))


def assemble(architecture: Architecture) -> bytes:
    """The filter as an array of `struct sock_filter`."""
    numbers = sorted(architecture.allowed.values())
    tests = [(_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    steps = [
        (_LOAD, 0, 0, _AUDIT),
        (_EQUAL, 1, 0, architecture.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        *tests,
        (_RETURN, 0, 0, _DENY),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(_STEP.pack(*step) for step in steps)
