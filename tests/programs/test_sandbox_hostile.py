"""Every hostile program of `test_sandbox_hostile.toml` fails or reaches nothing, and leaves no trace."""

from __future__ import annotations

import os
import platform
import re
import resource
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from whet.programs.sandbox import Capabilities, Limits, Sandbox

if not Capabilities.detect().seccomp:
    pytest.skip("this machine has no seccomp filters", allow_module_level=True)


def read(name: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


PROGRAMS = read("test_sandbox_hostile.toml")
CALLS = read("test_sandbox_calls.toml")
HARSH = Limits(cpu_seconds=0.2, wall_seconds=5, memory_bytes=64 * 2**20, output_bytes=20_000, result_bytes=50_000)
SHORT = Limits(cpu_seconds=0.2, wall_seconds=1)
CANARY = "canary of the tests"
SECRET = "a secret of the environment"
PRELUDE = f"""
import ctypes, gc, os, signal, sys, time
library = ctypes.CDLL(None, use_errno=True)
numbers = {CALLS[platform.machine()]}
class C:
    def __getattr__(self, name):
        def call(*arguments):
            ctypes.set_errno(0)
            result = getattr(library, name)(*arguments)
            return -ctypes.get_errno() if result == -1 else result
        return call
libc = C()
def raw(name, *arguments):
    return libc.syscall(numbers[name], *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
"""


@dataclass
class Surroundings:
    """What a program might reach: a folder with a file, and servers that hear TCP and UDP on one port."""

    folder: Path
    tcp: socket.socket
    udp: socket.socket

    def place(self) -> dict[str, Any]:
        port = self.tcp.getsockname()[1]
        return {"folder": str(self.folder), "canary": str(self.folder / "canary"), "port": port, "parent": os.getpid()}

    def check(self) -> None:
        """Everything is as it was."""
        assert [(path.name, path.read_text(), path.stat().st_mode & 0o777) for path in self.folder.iterdir()] == [
            ("canary", CANARY, 0o644)
        ]
        with pytest.raises(BlockingIOError):
            self.tcp.accept()
        with pytest.raises(BlockingIOError):
            self.udp.recv(1)


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    folder = tmp_path_factory.mktemp("surroundings")
    (folder / "canary").write_text(CANARY)
    for place in (folder, *folder.parents[:2]):
        place.chmod(0o755)
    (folder / "canary").chmod(0o644)
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(tcp.getsockname())
        tcp.setblocking(False)
        udp.setblocking(False)
        yield Surroundings(folder, tcp, udp)


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[dict[bool, Sandbox]]:
    """By whether programs shall soon be stopped by the wall clock; the parent's environment holds a secret."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHET_SANDBOX_SECRET", SECRET)
        with Sandbox(HARSH) as harsh, Sandbox(SHORT) as short:
            yield {False: harsh, True: short}


def children(process: int) -> list[int]:
    """Processes, ended ones too, whose parent is a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended since
                continue
            if int(fields[1]) == process:
                found.append(int(entry.name))
    return found


def settings() -> list[Any]:
    """What other processes of a user may change of this one."""
    limits = [resource.getrlimit(which) for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_AS)]
    return [os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), *limits]


def test_there_are_at_least_60_hostile_programs() -> None:
    assert len(PROGRAMS) >= 60


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_hostile_program_is_contained(name: str, sandboxes: dict[bool, Sandbox], surroundings: Surroundings) -> None:
    program = PROGRAMS[name]
    if program.get("machine", platform.machine()) != platform.machine():
        pytest.skip("written for another processor")
    source = eval(program["source"]) if program.get("whole") else PRELUDE + program["source"]
    sandbox = sandboxes[program.get("sleeps", False)]
    before, processes = settings(), children(os.getpid())

    outcome = sandbox.run(source, "attack", [surroundings.place()])

    if "kinds" in program:
        assert outcome.failure is not None, outcome
        assert outcome.failure.kind in program["kinds"], outcome.failure
        assert outcome.value is None
    else:
        assert outcome.failure is None, outcome.failure
        assert outcome.value == program["value"]
    assert all(words not in repr(outcome) for words in (CANARY, SECRET))
    assert all(c.isprintable() or c == "\n" for c in outcome.printed + (outcome.failure or outcome).__repr__())
    assert len(repr(outcome)) < 5000
    assert outcome.seconds < 3  # what the kernel grants when this process is late
    surroundings.check()
    assert settings() == before
    assert children(os.getpid()) == processes
    assert [child for process in processes for child in children(process)] == []
    honest = sandbox.run("import math\ndef root(x): return math.sqrt(len(x))", "root", [[1] * 16])
    assert (honest.value, honest.failure) == (4.0, None)


@pytest.mark.parametrize("name", ["connect", "run-a-shell", "search-the-environment", "search-subclasses"])
def test_without_the_sandbox_a_hostile_program_does_harm(
    name: str, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempts are real, and the traces are looked for where they would be."""
    monkeypatch.setenv("WHET_SANDBOX_SECRET", SECRET)
    end = "import json\nprint(json.dumps(attack(" + repr(surroundings.place()) + ")))"
    script = PRELUDE + PROGRAMS[name]["source"] + end
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    match name:
        case "connect":
            surroundings.tcp.accept()[0].close()
        case "run-a-shell":
            (surroundings.folder / "new").unlink()
        case "search-the-environment":
            assert SECRET in printed
        case "search-subclasses":
            assert len(printed.splitlines()) == 2
    surroundings.check()


@pytest.mark.parametrize(
    ("machine", "header"), [("x86_64", "x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "asm-generic/unistd.h")]
)
def test_the_numbers_of_calls_in_these_tests_are_those_of_the_kernel(machine: str, header: str) -> None:
    path = Path("/usr/include") / header
    if not path.exists():
        pytest.skip("the kernel's headers are not installed")
    numbers = dict(re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text(), re.MULTILINE))
    assert {name: int(numbers[name]) for name in CALLS[machine]} == CALLS[machine]
