"""What a call of a program in the sandbox costs, against starting Python for it.

    python benchmarks/sandbox.py [--rounds 15] [--json FILE]

Every round measures everything once, one after another, so that a busy machine slows all of it; the medians over the
rounds are reported. Wall time is what the caller waits; processor time is that of all processes that a call needs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from whet.programs.sandbox import Capabilities, Job, Sandbox
from whet.programs.sandbox.inside import landlock, rlimits, seccomp
from whet.programs.sandbox.inside.architecture import this_architecture

SOURCE = "import numpy as np\ndef turn(grid):\n    return np.rot90(np.array(grid))\n"
GRID = [[row * column % 10 for column in range(15)] for row in range(15)]
CALLS = 20
"""Calls in a round; a start of Python is one."""


def start_python(code: str) -> None:
    """Start Python, which is what a program costs without a server."""
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def fork(lock: Callable[[], None]) -> None:
    """A forked process that puts on locks and ends."""
    process = os.fork()
    if process == 0:
        try:
            lock()
        finally:
            os._exit(0)
    os.waitpid(process, 0)


def locks() -> Callable[[], None]:
    """The sandbox's locks, prepared as its server does."""
    architecture = this_architecture()
    assert architecture is not None
    ruleset, filtered = landlock.Ruleset(landlock.version()), seccomp.Filter(architecture)
    addresses = rlimits.address_space() + 2**29

    def put_on() -> None:
        ruleset.restrict()
        rlimits.restrict(2.0, addresses)
        filtered.restrict()

    return put_on


def processor_seconds(server: int) -> float:
    """Processor time of this process, of the processes it waited for, and of a server and its programs."""
    fields = Path(f"/proc/{server}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    served = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return served + sum(os.times()[:4])


def measure(work: Mapping[str, tuple[int, Callable[[], object]]], rounds: int, server: int) -> dict[str, list[float]]:
    """Median milliseconds of wall time and mean milliseconds of processor time of each piece of work.

    Args:
        work: by name, how many calls a round makes of it, and the calls.
        rounds: how often all are measured.
        server: whose processor time is added.
    """
    walls: dict[str, list[float]] = {name: [] for name in work}
    processors = dict.fromkeys(work, 0.0)
    for _ in range(rounds):
        for name, (calls, call) in work.items():
            before, start = processor_seconds(server), time.perf_counter()
            call()
            walls[name].append((time.perf_counter() - start) / calls)
            processors[name] += (processor_seconds(server) - before) / calls
    return {name: [1000 * statistics.median(walls[name]), 1000 * processors[name] / rounds] for name in work}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with Sandbox() as sandbox:
        server = sandbox._open_server().id
        jobs, put_on = [Job(SOURCE, "turn", [GRID])] * CALLS, locks()
        work: dict[str, tuple[int, Callable[[], object]]] = {
            "python -I -c pass": (1, lambda: start_python("pass")),
            "python -I -c 'import numpy'": (1, lambda: start_python("import numpy")),
            "start of a sandbox": (1, lambda: Sandbox().close()),
            "warm call": (CALLS, lambda: sandbox.run_many(jobs)),
            "warm call, 2 at once": (CALLS, lambda: sandbox.run_many(jobs, processes=2)),
            "warm call, 4 at once": (CALLS, lambda: sandbox.run_many(jobs, processes=4)),
            "fork of this process": (CALLS, lambda: [fork(lambda: None) for _ in range(CALLS)]),
            "the same with locks": (CALLS, lambda: [fork(put_on) for _ in range(CALLS)]),
        }
        found = measure(work, options.rounds, server)
    print(f"{Capabilities.detect()}\n{'':30}{'wall ms':>10}{'cpu ms':>10}{'wall / python -I -c pass':>26}")
    for name, (wall, processor) in found.items():
        print(f"{name:30}{wall:10.2f}{processor:10.2f}{wall / found['python -I -c pass'][0]:26.3f}")
    if options.json:
        options.json.write_text(
            json.dumps({"load": os.getloadavg()[0], "ms": found}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
