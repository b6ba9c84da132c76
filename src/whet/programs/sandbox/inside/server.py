"""The process that has imported what programs may use, and forks a locked process for each of them.

It holds nothing of any program: requests and answers pass it by. It is therefore the same for every program.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from . import landlock, privileges, rlimits, seccomp
from .architecture import this_architecture
from .libc import prctl
from .program import answer

_DEATH_SIGNAL, _DUMPABLE = 1, 4
_DESCRIPTORS = 64
"""More than the server ever has open."""
_CHANNEL = 3
_LOOK = 1000
"""Milliseconds between looks at the parent, whose end of the socket another process may hold open."""
_MESSAGE = 65536


@dataclass(frozen=True)
class _Locks:
    filter: seccomp.Filter
    ruleset: landlock.Ruleset
    cpu_seconds: float
    addresses: int
    result_bytes: int


def serve(descriptor: int) -> None:
    """Answer the parent until it hangs up or is gone; then end every program.

    Args:
        descriptor: a socket of whole messages. The first is the configuration, and its answer `ready`, or `module` or
            `locks`, whichever failed, and the error's words. Then a message with a descriptor, of a file with the
            request, starts a program, and is answered by the process's id and the ends of two pipes, for the answer and
            for what is printed; a message with a process's id ends that process, and is answered by its status and its
            processor time in seconds.
    """
    control = socket.socket(fileno=os.dup(descriptor))
    _silence()
    parent = os.getppid()
    settings = json.loads(control.recv(_MESSAGE))
    try:
        _import(settings["path"], settings["modules"])
    except Exception as error:  # noqa: BLE001 - a module may raise anything when it is imported
        control.send(f"module {type(error).__name__}: {error}".encode())
        return
    try:
        locks = _prepare(settings["limits"])
    except OSError as error:
        control.send(f"locks {error}".encode())
        return
    control.send(b"ready")
    running: set[int] = set()
    try:
        _listen(control, parent, locks, running)
    finally:
        for process in running:
            os.kill(process, signal.SIGKILL)


def _silence() -> None:
    """Leave no way out for what is printed here; a program finds a pipe of its own in place of the null device.

    `sys.stdout` was made when its descriptor was a socket, and so does not seek.
    """
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    sys.stderr = sys.stdout
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    os.close(null)


def _import(path: list[str], modules: list[str]) -> None:
    rlimits.lower(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    os.chdir("/")
    sys.path[:] = path
    for module in modules:
        importlib.import_module(module)
    sys.path.clear()
    os.environ.clear()


def _prepare(limits: dict[str, Any]) -> _Locks:
    """The locks of every program; the server gives up its own rights."""
    with contextlib.suppress(OSError):  # when memory is short, the kernel shall end a program before its parent
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    addresses = rlimits.address_space() + limits["memory_bytes"]
    architecture = this_architecture()
    assert architecture is not None, "the parent has looked"
    privileges.drop(architecture)
    locks = _Locks(
        seccomp.Filter(architecture),
        landlock.Ruleset(landlock.version()),
        limits["cpu_seconds"],
        addresses,
        limits["result_bytes"],
    )
    gc.collect()
    gc.freeze()  # what is here stays: a program's collections need not visit, and so copy, it
    return locks


def _listen(control: socket.socket, parent: int, locks: _Locks, running: set[int]) -> None:
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while os.getppid() == parent:
        if not poll.poll(_LOOK):
            continue
        message, descriptors, _, _ = socket.recv_fds(control, _MESSAGE, 1)
        if descriptors:
            _start(control, descriptors[0], locks, running)
        elif message:
            _end(control, int(message), running)
        else:
            return


def _start(control: socket.socket, request: int, locks: _Locks, running: set[int]) -> None:
    read_channel, channel = os.pipe()
    read_output, output = os.pipe()
    server = os.getpid()
    process = os.fork()
    if process == 0:
        try:
            _become_program(server, request, channel, output, locks)
        except OSError as error:
            os.write(2, f"the process could not be locked: {error}".encode())
        finally:
            os._exit(1)
    running.add(process)
    socket.send_fds(control, [str(process).encode()], [read_channel, read_output])
    for descriptor in (request, channel, output, read_channel, read_output):
        os.close(descriptor)


def _end(control: socket.socket, process: int, running: set[int]) -> None:
    os.kill(process, signal.SIGKILL)
    _, status, used = os.wait4(process, 0)
    running.discard(process)
    control.send(f"{status} {used.ru_utime + used.ru_stime}".encode())


def _become_program(server: int, request: int, channel: int, output: int, locks: _Locks) -> NoReturn:
    """Lock this process and run the program; nothing of the program is looked at before."""
    os.setsid()
    prctl(_DUMPABLE, 0)
    prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != server:  # it ended before it could be watched
        os._exit(1)
    text = os.pread(request, os.fstat(request).st_size, 0)
    locks.ruleset.restrict()
    for descriptor, standard in ((output, 1), (output, 2), (channel, _CHANNEL)):
        os.dup2(descriptor, standard)
    os.closerange(_CHANNEL + 1, _DESCRIPTORS)
    _seed()
    rlimits.restrict(locks.cpu_seconds, locks.addresses)
    locks.filter.restrict()
    answer(text, _CHANNEL, locks.result_bytes)


def _seed() -> None:
    """Start the global generators at the same place; that of `random` starts anew in every forked process."""
    for name in ("random", "numpy.random"):
        if name in sys.modules:
            sys.modules[name].seed(0)
