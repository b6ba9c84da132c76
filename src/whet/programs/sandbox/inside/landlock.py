"""Landlock: no file can be opened, no TCP socket used and no signal sent, whatever the seccomp filter lets through."""

from __future__ import annotations

import ctypes
import struct

from .libc import prctl, syscall

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same on every architecture
_VERSION = 1
_NO_NEW_PRIVS = 38
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights of files each version of the interface knows (linux/landlock.h)."""
_TCP = 0b11
"""Bind and connect, from version 4."""
_SCOPES = 0b11
"""Abstract Unix sockets and signals, from version 6."""


def version() -> int:
    """Version of the kernel's interface; 0 where Landlock is missing or off."""
    try:
        return syscall(_CREATE_RULESET, 0, 0, _VERSION)
    except OSError:
        return 0


class Ruleset:
    """Rules that deny all that a version of the interface can deny.

    Args:
        version: from `version`; with 0 there are no rules.

    Raises:
        OSError: the kernel refused them.
    """

    def __init__(self, version: int) -> None:
        self._descriptor = _create(version) if version else None

    def restrict(self) -> None:
        """Put the rules on this process, for good.

        Raises:
            OSError: the kernel refused it.
        """
        if self._descriptor is not None:
            prctl(_NO_NEW_PRIVS, 1)
            syscall(_RESTRICT_SELF, self._descriptor, 0)


def _create(version: int) -> int:
    rights = max(count for since, count in _FILE_RIGHTS.items() if since <= version)
    fields = [2**rights - 1]
    if version >= 4:
        fields.append(_TCP)
    if version >= 6:
        fields.append(_SCOPES)
    attributes = ctypes.create_string_buffer(struct.pack(f"={len(fields)}Q", *fields))
    return syscall(_CREATE_RULESET, ctypes.addressof(attributes), 8 * len(fields), 0)
