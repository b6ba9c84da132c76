"""Giving up what root may do, so that limits bind and no file of root can be reached."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct

from .architecture import Architecture
from .libc import syscall

_NOBODY = 65534
_CAPABILITY_VERSION = 0x20080522


def drop(architecture: Architecture) -> None:
    """Become nobody if this is root, and hold no capability.

    Raises:
        OSError: the capabilities cannot be given up.
    """
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # a user namespace may know only one user; the capabilities still go
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION, 0))
    none = ctypes.create_string_buffer(24)
    syscall(architecture.capset, ctypes.addressof(header), ctypes.addressof(none))
