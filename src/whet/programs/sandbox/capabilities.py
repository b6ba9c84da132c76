"""What this machine offers to lock a process."""

from __future__ import annotations

import functools
import platform
import sys
from dataclasses import dataclass

from whet.errors import SandboxError


@dataclass(frozen=True)
class Capabilities:
    """What the kernel can deny to a process.

    Args:
        system: such as `linux`.
        machine: the processor, such as `x86_64`.
        seccomp: whether system calls can be filtered, and their numbers on this processor are known. This lock alone
            denies files, network, processes and signals; without it no program is run.
        landlock: version of Landlock's interface, 0 without it. A second lock on files, TCP and signals.
    """

    system: str
    machine: str
    seccomp: bool
    landlock: int

    @staticmethod
    @functools.cache
    def detect() -> Capabilities:
        """Those of this machine; asked once."""
        if not sys.platform.startswith("linux"):
            return Capabilities(sys.platform, platform.machine(), False, 0)
        from whet.programs.sandbox.inside import architecture, landlock, seccomp

        known = architecture.this_architecture()
        filters = known is not None and seccomp.is_available(known)
        return Capabilities(sys.platform, platform.machine(), filters, landlock.version())

    def require(self) -> None:
        """Pass if a program can be locked in.

        Raises:
            SandboxError: it cannot.
        """
        if not self.seccomp:
            raise SandboxError(
                f"Programs cannot be locked in on {self.system} {self.machine}: the sandbox needs Linux on x86_64 or "
                "aarch64 with seccomp filters, and does not run a program without them; use such a machine."
            )
