"""What becomes of the sandbox's processes when others end, and who may run it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from whet.errors import InputError
from whet.programs.sandbox import Capabilities, Kind, Limits, Sandbox

if not Capabilities.detect().seccomp:
    pytest.skip("this machine has no seccomp filters", allow_module_level=True)

ECHO = "def echo(x):\n    return x\n"
SLEEP = "import time\ndef sleep():\n    time.sleep(1000)\n"
LOOP = "def loop():\n    while True: pass\n"
PATIENT = "Limits(cpu_seconds=500, wall_seconds=500)"


def state(process: int) -> tuple[int, str] | None:
    """Parent and state of a process, or None if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[0]


def children(process: int) -> list[int]:
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [number for number in numbers if (found := state(number)) and found[0] == process]


def is_gone(process: int) -> bool:
    """Whether a process has ended; who has no parent left may wait in the table for one that takes it out."""
    found = state(process)
    return found is None or found[1] in "ZX"


def eventually(condition: Callable[[], object]) -> bool:
    """Whether a condition comes true while a minute goes by."""
    for _ in range(1200):
        if condition():
            return True
        time.sleep(0.05)
    return False


@contextmanager
def launch(script: str) -> Iterator[subprocess.Popen[str]]:
    """A process with a sandbox, `sandbox`, that has been tried out; it is ended in any case."""
    start = f"import os, sys\nfrom whet.programs.sandbox import *\nsandbox = Sandbox({PATIENT})\nprint(flush=True)\n"
    with subprocess.Popen([sys.executable, "-c", start + script], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        except BaseException:
            process.kill()
            raise


def server_and_program(parent: int) -> tuple[int, int]:
    """The two processes below a parent that runs a program."""
    pairs: list[tuple[int, int]] = []

    def found() -> list[tuple[int, int]]:
        pairs[:] = [(server, program) for server in children(parent) for program in children(server)]
        return pairs

    assert eventually(found)
    return pairs[0]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(cpu_seconds=1, wall_seconds=20)) as made:
        yield made


@pytest.mark.parametrize(("source", "function"), [(SLEEP, "sleep"), (LOOP, "loop")])
def test_when_the_parent_is_killed_nothing_goes_on(source: str, function: str) -> None:
    with launch(f"sandbox.run({source!r}, {function!r})") as parent:
        server, program = server_and_program(parent.pid)
        parent.kill()
    assert eventually(lambda: is_gone(server) and is_gone(program))


def test_when_the_parent_is_killed_a_process_that_it_forked_keeps_nothing_alive() -> None:
    script = "other = os.fork()\nif other == 0:\n    import time\n    time.sleep(500)\nprint(other, flush=True)\n"
    with launch(script + f"sandbox.run({SLEEP!r}, 'sleep')") as parent:
        assert parent.stdout is not None
        other = int(parent.stdout.readline())
        try:
            server, program = server_and_program(parent.pid)
            parent.kill()
            assert eventually(lambda: is_gone(server) and is_gone(program))
            assert not is_gone(other)
        finally:
            os.kill(other, signal.SIGKILL)


def test_when_the_parent_ends_without_closing_nothing_goes_on() -> None:
    with launch("print(sandbox._server.id)") as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
    assert eventually(lambda: is_gone(server))


def test_when_the_server_is_killed_the_program_ends_and_another_server_starts(sandbox: Sandbox) -> None:
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(sandbox.run(LOOP, "loop")))
    thread.start()
    server, program = server_and_program(os.getpid())
    os.kill(server, signal.SIGKILL)
    assert eventually(lambda: is_gone(program))
    thread.join()
    assert outcomes[0].failure.kind is Kind.TIME
    assert server not in children(os.getpid())
    assert sandbox.run(ECHO, "echo", [1]).value == 1


def test_closing_ends_what_runs() -> None:
    sandbox = Sandbox(Limits(cpu_seconds=500, wall_seconds=500))

    def run() -> None:
        with pytest.raises(InputError, match="is closed"):
            sandbox.run(SLEEP, "sleep")

    thread = threading.Thread(target=run)
    thread.start()
    server, program = server_and_program(os.getpid())
    sandbox.close()
    thread.join()
    assert state(server) is None
    assert eventually(lambda: is_gone(program))


def test_an_interrupted_run_leaves_no_process_and_a_sandbox_that_works(sandbox: Sandbox) -> None:
    class Interruption(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interruption

    def run_until_interrupted(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while True:
            sandbox.run(LOOP, "loop")

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay in (0.001, 0.003, 0.01, 0.05):
            with pytest.raises(Interruption):
                run_until_interrupted(delay)
            assert [program for server in children(os.getpid()) for program in children(server)] == []
            assert sandbox.run(ECHO, "echo", [delay]).value == delay
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_forked_process_has_a_server_of_its_own() -> None:
    script = f"""
first = sandbox._server.id
child = os.fork()
assert sandbox.run({ECHO!r}, "echo", [7]).value == 7
assert (sandbox._server.id == first) == (child != 0)
if child == 0:
    sandbox.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert sandbox.run({ECHO!r}, "echo", [8]).value == 8
print("fine")
"""
    with launch(script) as parent:
        assert parent.stdout is not None
        assert parent.stdout.read() == "fine\n"


def test_closing_does_not_wait_for_a_forked_process() -> None:
    script = """
server, (ours, theirs) = sandbox._server.id, os.pipe()
if os.fork() == 0:
    os.close(theirs)
    os.read(ours, 1)  # until the parent ends
    os._exit(0)
sandbox.close()
print(os.path.exists(f"/proc/{server}"))
"""
    with launch(script) as parent:
        assert parent.stdout is not None
        assert parent.stdout.read() == "False\n"


@pytest.mark.parametrize(("mapping", "uid"), [("--map-user=1000", 1000), ("--map-root-user", 0)])
def test_an_ordinary_user_and_a_root_of_few_rights_can_run_programs(mapping: str, uid: int) -> None:
    """A user namespace makes root an ordinary user, or a user a root who cannot become anybody else."""
    enter = ["unshare", "--user", mapping]
    if shutil.which("unshare") is None or subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip("this machine makes no user namespaces")
    script = f"""
import os
from whet.programs.sandbox import Sandbox
with Sandbox() as sandbox:
    print(os.getuid(), sandbox.run({ECHO!r}, "echo", [1]).value, sandbox.run("open('/etc/passwd')", "f").failure.kind)
"""
    printed = subprocess.run([*enter, sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed == f"{uid} 1 forbidden\n"
