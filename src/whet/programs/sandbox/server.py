"""The parent's side of the server process that forks programs."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from whet.errors import InputError, SandboxError
from whet.programs.sandbox.limits import Limits

_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from inside.server import serve; serve(0)"
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
_FLAGS = ("-s", "-S", "-P", "-B")
"""Not -I, which would ignore the seed of the hashes; the environment is empty but for what stands above."""
_START, _ANSWER = 120.0, 30.0
"""Seconds to wait for a server that imports, and for one that forks or ends a process."""
_MESSAGE = 65536


class ServerLostError(Exception):
    """The server process has ended or does not answer."""


@dataclass(frozen=True)
class Process:
    """A program that runs: its id, and the descriptors of its answer and of what it prints, which are to be closed."""

    id: int
    channel: int
    output: int


@dataclass(frozen=True)
class End:
    """How a process ended: its status as of wait(2), and its processor time in seconds."""

    status: int
    seconds: float


class Server:
    """A process that has imported modules and forks a locked process for each program. Threads may share it.

    Args:
        modules: what it imports.
        limits: of every program.

    Raises:
        InputError: a module cannot be imported.
        SandboxError: the server does not start.
    """

    def __init__(self, modules: Sequence[str], limits: Limits) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = _launch(theirs.fileno())
        self._control.settimeout(_START)
        path = [str(Path(folder).absolute()) for folder in sys.path if folder]
        settings = {"path": path, "modules": list(modules), "limits": asdict(limits)}
        try:
            ready = self._ask(json.dumps(settings).encode())[0]
        except ServerLostError as error:
            self.close()
            raise SandboxError(f"The sandbox's server does not start with {sys.executable}; does it run?") from error
        if ready != b"ready":
            self.close()
            failed, _, words = ready.decode().partition(" ")
            if failed == "module":
                raise InputError(f"modules has one that cannot be imported: {words}; install it or leave it out.")
            raise SandboxError(f"The sandbox's locks cannot be prepared: {words}; use another machine.")
        self._control.settimeout(_ANSWER)

    @property
    def id(self) -> int:
        """The server's process id."""
        return self._process.pid

    def start(self, request: bytes) -> Process:
        """Fork a process that runs a program.

        Args:
            request: see `inside.program.answer`.

        Raises:
            ServerLostError: the server is gone.
        """
        file = os.memfd_create("request")
        try:
            with open(file, "wb", closefd=False) as out:
                out.write(request)
            answer, (channel, output) = self._ask(b"start", file)
        finally:
            os.close(file)
        return Process(int(answer), channel, output)

    def end(self, process: Process) -> End:
        """Kill a process if it still runs, and take it from the table of processes.

        Raises:
            ServerLostError: the server is gone, and the process with it.
        """
        status, seconds = self._ask(str(process.id).encode())[0].split()
        return End(int(status), float(seconds))

    def close(self) -> None:
        """End the server and every program; more than once is harmless.

        In a process that was forked from the server's parent, the server is only let go.
        """
        with self._lock, contextlib.suppress(OSError):  # it may have ended
            if os.getpid() == self._owner:
                self._control.shutdown(socket.SHUT_RDWR)  # closing says nothing while a forked process has the socket
        self._control.close()
        try:
            self._process.wait(_ANSWER)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, message: bytes, *descriptors: int) -> tuple[bytes, list[int]]:
        if os.getpid() != self._owner:
            raise ServerLostError  # this process was forked from the one that the server answers
        with self._lock:
            try:
                socket.send_fds(self._control, [message], descriptors)
                answer, received, _, _ = socket.recv_fds(self._control, _MESSAGE, 2)
            except OSError as error:
                raise ServerLostError from error
            except BaseException:  # an answer that nobody took would be taken for the next one
                self._control.close()
                raise
        if not answer:
            raise ServerLostError
        return answer, received


def _launch(control: int) -> subprocess.Popen[bytes]:
    """Start Python with an environment in which nothing of this process's stands."""
    libraries = os.environ.get("LD_LIBRARY_PATH")  # where Python itself may be
    return subprocess.Popen(
        [sys.executable, *_FLAGS, "-c", _BOOT, str(Path(__file__).parent)],
        stdin=control,
        stdout=control,  # see inside.server
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT | ({"LD_LIBRARY_PATH": libraries} if libraries else {}),
        start_new_session=True,
    )
