"""Each lock by itself, without the others."""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import whet.programs.sandbox
from whet.programs.sandbox import Capabilities
from whet.programs.sandbox.inside import landlock
from whet.programs.sandbox.inside.architecture import ARCHITECTURES, this_architecture
from whet.programs.sandbox.inside.seccomp import assemble

HERE = Capabilities.detect()
needs_seccomp = pytest.mark.skipif(not HERE.seccomp, reason="this machine has no seccomp filters")
needs_landlock = pytest.mark.skipif(not HERE.landlock, reason="this machine has no Landlock")
FOLDER = str(Path(whet.programs.sandbox.__file__).parent)
ALLOW, DENY, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000


def run_filter(program: bytes, audit: int, number: int) -> int:
    """What a filter says of a call: an interpreter of the four instructions that it uses."""
    steps = list(struct.iter_unpack("=HBBI", program))
    data = struct.pack("=II", number, audit)
    place, held = 0, 0
    while True:
        code, if_true, if_false, constant = steps[place]
        place += 1
        if code == 0x06:
            return int(constant)
        if code == 0x20:
            (held,) = struct.unpack_from("=I", data, constant)
        elif code == 0x15:
            place += if_true if held == constant else if_false
        elif code == 0x35:
            place += if_true if held >= constant else if_false
        else:
            raise AssertionError(f"instruction {code:#x} is not known here")


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_filter_allows_the_listed_calls_and_denies_all_others(machine: str) -> None:
    architecture = ARCHITECTURES[machine]
    program = assemble(architecture)
    allowed = set(architecture.allowed.values())
    for number in range(2000):
        assert run_filter(program, architecture.audit, number) == (ALLOW if number in allowed else DENY)


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_no_call_that_reaches_out_of_the_process_is_allowed(machine: str) -> None:
    calls = tomllib.loads(Path(__file__).with_name("test_sandbox_calls.toml").read_text(encoding="utf-8"))
    assert set(calls["outward"]) & set(ARCHITECTURES[machine].allowed) == set()


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_filter_kills_what_calls_by_another_instruction_set(machine: str) -> None:
    program = assemble(ARCHITECTURES[machine])
    audits = {architecture.audit for architecture in ARCHITECTURES.values()} | {0x40000003, 0x40000028, 0}
    for audit in audits - {ARCHITECTURES[machine].audit}:
        assert {run_filter(program, audit, number) for number in range(500)} == {KILL}
    for number in (0x40000000, 0x40000001, 0x40000039, 0xFFFFFFFF):
        assert run_filter(program, ARCHITECTURES[machine].audit, number) == KILL


@pytest.mark.parametrize(
    ("machine", "header"), [("x86_64", "x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "asm-generic/unistd.h")]
)
def test_the_numbers_of_calls_are_those_of_the_kernel(machine: str, header: str) -> None:
    path = Path("/usr/include") / header
    if not path.exists():
        pytest.skip("the kernel's headers are not installed")
    numbers = dict(re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text(), re.MULTILINE))
    architecture = ARCHITECTURES[machine]
    ours = {**architecture.allowed, "seccomp": architecture.seccomp, "capset": architecture.capset}
    assert {name: int(numbers[name]) for name in ours} == ours


def attempts(lock: str, port: int = 0) -> dict[str, str]:
    """Which error each attempt meets in a process with one lock only."""
    script = f"""
import ctypes, errno, os, socket, sys
sys.path.insert(0, {FOLDER!r})
from inside import architecture, landlock, privileges, rlimits, seccomp
here = architecture.this_architecture()
handle, file = socket.socket(), open("/proc/self/cmdline", "rb")
{lock}
for name, attempt in {{
    "read": lambda: os.open("/proc/self/stat", os.O_RDONLY),
    "list": lambda: os.listdir("/"),
    "write": lambda: os.open("/tmp/new", os.O_WRONLY | os.O_CREAT),
    "connect": lambda: handle.connect(("127.0.0.1", {port})),
    "socket": lambda: socket.socket(),
    "fork": lambda: os.fork() or os._exit(0),
    "signal": lambda: os.kill({os.getpid()}, 0),
    "allocate": lambda: bytes(2**30) and None,
    "compute": lambda: sum(range(1000)),
}}.items():
    try:
        attempt()
        print(name, "done")
    except MemoryError:
        print(name, "MemoryError")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
"""
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in printed.splitlines())


@needs_seccomp
def test_seccomp_alone_denies_files_network_processes_and_signals() -> None:
    found = attempts("seccomp.Filter(here).restrict()")
    assert found.pop("compute") == found.pop("allocate") == "done"
    assert found == dict.fromkeys(("read", "list", "write", "connect", "socket", "fork", "signal"), "EPERM")


@needs_landlock
@pytest.mark.parametrize("version", range(1, 8))
def test_landlock_alone_denies_files_and_what_its_version_can(version: int) -> None:
    if version > HERE.landlock:
        pytest.skip("this kernel has an older Landlock")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        found = attempts(f"landlock.Ruleset({version}).restrict()", server.getsockname()[1])
    assert found["compute"] == found["fork"] == "done"
    assert found["read"] == found["list"] == found["write"] == "EACCES"
    assert found["connect"] == ("EACCES" if version >= 4 else "done")
    assert found["signal"] == ("EPERM" if version >= 6 else "done")


def test_without_landlock_there_are_no_rules() -> None:
    landlock.Ruleset(0).restrict()


@needs_seccomp
def test_limits_alone_bound_memory_and_descriptors() -> None:
    found = attempts("rlimits.restrict(1, rlimits.address_space() + 2**27)")
    assert found["allocate"] == "MemoryError"
    assert found["read"] == found["socket"] == "EMFILE"


@needs_seccomp
def test_without_privileges_a_limit_of_processes_binds() -> None:
    found = attempts("privileges.drop(here); rlimits.restrict(1, 2**40)")
    assert found["fork"] == "EAGAIN"


@needs_seccomp
def test_privileges_are_given_up_for_good() -> None:
    script = f"""
import os, sys
sys.path.insert(0, {FOLDER!r})
from inside import architecture, privileges
privileges.drop(architecture.this_architecture())
print([line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapPrm", "CapInh"))])
print(os.geteuid() != 0 or os.getuid())
"""
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[0] == str(["0" * 16] * 3)
    assert printed.splitlines()[1] == "True"


def test_a_processor_that_is_not_known_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert this_architecture() is None
