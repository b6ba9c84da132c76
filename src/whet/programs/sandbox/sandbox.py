"""Running programs, one or many."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple, Self

from whet.errors import InputError, SandboxError
from whet.programs.sandbox.capabilities import Capabilities
from whet.programs.sandbox.inside.kinds import Kind
from whet.programs.sandbox.limits import Limits
from whet.programs.sandbox.outcome import Failure, Outcome, read_answer, read_printed
from whet.programs.sandbox.server import End, Server, ServerLostError
from whet.programs.sandbox.watch import Heard, listen

MODULES: tuple[str, ...] = (
    "bisect",
    "collections.abc",
    "copy",
    "dataclasses",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "itertools",
    "math",
    "numpy",
    "numpy.linalg",
    "numpy.random",
    "operator",
    "random",
    "re",
    "statistics",
    "string",
    "typing",
)
"""What programs can import if nothing else is asked for."""

_OPEN_DOORS = """
import ctypes, os

def open_socket():
    if ctypes.CDLL(None).socket(2, 1, 0) < 0:
        raise PermissionError

def open_doors():
    found = []
    for attempt in (lambda: os.open("/", os.O_RDONLY), os.fork, lambda: os.kill(os.getpid(), 0), open_socket):
        try:
            attempt()
        except PermissionError:
            found.append("closed")
        else:
            found.append("open")
    return found
"""
"""Tries to open a file, to fork, to signal and to open a socket."""


class Job(NamedTuple):
    """A program, the function to call and its arguments, which are JSON."""

    source: str
    function: str
    arguments: Sequence[Any] = ()


class Sandbox:
    """Runs Python programs in locked processes: each run in a process of its own, which can only compute.

    A context manager; outside of `with`, `close` ends it. Threads may share it.

    Args:
        limits: of every run.
        modules: what is imported beforehand; a program can import nothing else. They are trusted.

    Raises:
        SandboxError: this machine cannot lock a program in.
        InputError: a module cannot be imported.
    """

    def __init__(self, limits: Limits | None = None, modules: Sequence[str] = MODULES) -> None:
        Capabilities.detect().require()
        self.limits = limits or Limits()
        self.modules = tuple(modules)
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._closed = False
        self._check_doors()

    def run(self, source: str, function: str, arguments: Sequence[Any] = ()) -> Outcome:
        """Call a function of a program.

        Args:
            source: Python.
            function: its name.
            arguments: positional, JSON.

        Returns:
            The value, or why there is none; a program never raises here.

        Raises:
            InputError: the arguments are not JSON, or the sandbox is closed.
            SandboxError: the server process was lost twice.
        """
        try:
            request = json.dumps({"source": source, "function": function, "arguments": list(arguments)})
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"arguments are not JSON: {error}; give lists, numbers and strings.") from error
        return self._run(request.encode(), self.limits)

    def run_many(self, jobs: Iterable[Job], processes: int = 1) -> list[Outcome]:
        """Run programs at the same time.

        Args:
            jobs: the programs.
            processes: how many run at once.

        Returns:
            One outcome a job, in their order.

        Raises:
            InputError: as in `run`, or `processes` is not positive.
        """
        if processes < 1:
            raise InputError(f"processes is {processes}, but at least one must run; give 1 or more.")
        with ThreadPoolExecutor(processes) as pool:
            return list(pool.map(lambda job: self.run(*job), jobs))

    def close(self) -> None:
        """End the server and all that runs; more than once is harmless."""
        with self._lock:
            self._closed = True
            if self._server:
                self._server.close()

    def __enter__(self) -> Self:
        """The sandbox."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _open_server(self) -> Server:
        """The server that runs, or a new one."""
        with self._lock:
            if self._closed:
                raise InputError("The sandbox is closed; make a new one.")
            if self._server is None:
                self._server = Server(self.modules, self.limits)
            return self._server

    def _drop(self, server: Server) -> None:
        """End a server, so that the next run starts another one."""
        with self._lock:
            if self._server is server:
                self._server = None
            server.close()

    def _run(self, request: bytes, limits: Limits) -> Outcome:
        for _ in range(2):
            server = self._open_server()
            try:
                return _run_on(server, request, limits)
            except ServerLostError:
                self._drop(server)
            except BaseException:  # wherever it was interrupted, no program may go on
                self._drop(server)
                raise
        raise SandboxError("The sandbox's server process was lost twice; is something on this machine ending it?")

    def _check_doors(self) -> None:
        """Try the locks once, for a kernel that only says that it keeps them."""
        request = json.dumps({"source": _OPEN_DOORS, "function": "open_doors", "arguments": []})
        outcome = self._run(request.encode(), Limits())
        if outcome.value == ["closed"] * 4:
            return
        self.close()
        if outcome.failure:
            words = outcome.failure.message
            raise SandboxError(f"The sandbox's trial of its locks failed: {words}. Are the limits too low?")
        raise SandboxError(f"This machine does not keep programs locked in: {outcome.value}; use another machine.")


def _run_on(server: Server, request: bytes, limits: Limits) -> Outcome:
    process = server.start(request)
    try:
        heard = listen(process, limits)
    finally:
        os.close(process.channel)
        os.close(process.output)
        end = server.end(process)
    value, failure = _judge(heard, end)
    return Outcome(value, failure, end.seconds, read_printed(heard.printed))


def _judge(heard: Heard, end: End) -> tuple[Any, Failure | None]:
    """The program's own answer, unless it broke a limit or gave none."""
    if heard.broken:
        return None, heard.broken
    if heard.answer:
        return read_answer(heard.answer)
    number = os.WTERMSIG(end.status)
    if number in (0, signal.SIGKILL):  # it ended by itself, or its channel was closed and so it was ended
        return None, Failure(Kind.BAD_RESULT, "the program ended without an answer")
    if number == signal.SIGSYS:
        return None, Failure(Kind.FORBIDDEN, "the program called the kernel in the way of another processor")
    return None, Failure(Kind.CRASH, f"the process was ended by signal {number}: {signal.strsignal(number)}")
