"""What a sandbox gives back for honest and for faulty programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.errors import InputError, SandboxError
from whet.programs.sandbox import Capabilities, Failure, Job, Kind, Limits, Outcome, Sandbox
from whet.programs.sandbox.outcome import clean, read_answer

needs_seccomp = pytest.mark.skipif(not Capabilities.detect().seccomp, reason="this machine has no seccomp filters")
ECHO = "def echo(*values):\n    return values[0]\n"
CRASH = "import ctypes\ndef f(): ctypes.string_at(1)"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(cpu_seconds=1, wall_seconds=20)) as made:
        yield made


def failure(outcome: Outcome) -> Failure:
    assert outcome.failure is not None, outcome
    assert outcome.value is None
    return outcome.failure


@needs_seccomp
class TestValues:
    @settings(max_examples=40)
    @given(value=JSON)
    def test_what_goes_in_comes_out(self, sandbox: Sandbox, value: Any) -> None:
        outcome = sandbox.run(ECHO, "echo", [value])
        assert (outcome.value, outcome.failure) == (value, None)

    def test_a_grid_is_transformed_with_numpy(self, sandbox: Sandbox) -> None:
        source = "import numpy as np\ndef turn(grid):\n    return np.rot90(np.array(grid))"
        assert sandbox.run(source, "turn", [[[1, 2], [3, 4]]]).value == [[2, 4], [1, 3]]

    def test_tuples_and_numbers_of_numpy_become_json(self, sandbox: Sandbox) -> None:
        source = "import numpy as np\ndef make():\n    return (np.int8(3), np.float64(0.5), {'a': (1, np.bool_(True))})"
        assert sandbox.run(source, "make").value == [3, 0.5, {"a": [1, True]}]

    def test_no_value_is_a_value(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("def nothing():\n    pass", "nothing")
        assert (outcome.value, outcome.failure) == (None, None)

    def test_what_is_printed_comes_back_shortened(self, sandbox: Sandbox) -> None:
        source = "import sys\ndef talk():\n    print('é' * 700)\n    print('b' * 700, file=sys.stderr)"
        outcome = sandbox.run(source, "talk")
        assert outcome.failure is None
        assert outcome.printed == "é" * 700 + "\n" + "b" * 299

    def test_what_is_printed_before_an_error_comes_back(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("def talk():\n    print('here')\n    return 1 / 0", "talk")
        assert outcome.printed == "here\n"

    def test_a_program_may_sleep_longer_than_it_may_compute(self) -> None:
        with Sandbox(Limits(cpu_seconds=0.1, wall_seconds=20)) as sandbox:
            outcome = sandbox.run("import time\ndef nap():\n    time.sleep(0.3)\n    return 1", "nap")
        assert (outcome.value, outcome.failure) == (1, None)

    def test_seconds_are_those_that_the_program_computed(self, sandbox: Sandbox) -> None:
        source = "import time\ndef work():\n    while time.process_time() < 0.2: pass\n    return time.process_time()"
        outcome = sandbox.run(source, "work")
        assert 0.2 <= outcome.value <= outcome.seconds

    def test_dataclasses_and_their_annotations_work(self, sandbox: Sandbox) -> None:
        source = (
            "from __future__ import annotations\nfrom dataclasses import *\nfrom typing import ClassVar\n"
            "@dataclass\nclass P:\n    x: int\n    n: ClassVar[int] = 3\ndef make():\n    return asdict(P(2))"
        )
        assert sandbox.run(source, "make").value == {"x": 2}


@needs_seccomp
class TestFailures:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("\nf(", Failure(Kind.SYNTAX, "SyntaxError: '(' was never closed (<program>, line 2)", 2)),
            ("def f():\n\n    return [][3]", Failure(Kind.EXCEPTION, "IndexError: list index out of range", 3)),
            ("def f():\n    return g()\ndef g():\n    raise KeyError", Failure(Kind.EXCEPTION, "KeyError", 4)),
            ("x = 1 / 0", Failure(Kind.EXCEPTION, "ZeroDivisionError: division by zero", 1)),
            ("def g(): pass", Failure(Kind.EXCEPTION, "NameError: the program defines no 'f'")),
            ("import pandas", Failure(Kind.EXCEPTION, "ModuleNotFoundError: No module named 'pandas'", 1)),
            ("def f(): return {1}", Failure(Kind.BAD_RESULT, "the value is not JSON: TypeError: set is no JSON")),
            ("\nopen('x')", Failure(Kind.FORBIDDEN, "PermissionError: [Errno 1] Operation not permitted: 'x'", 2)),
            ("def f():\n    return [0] * 10**11", Failure(Kind.MEMORY, "MemoryError", 2)),
            ("def f(): print('x' * 10**6)", Failure(Kind.OUTPUT, "it printed more than 65536 bytes")),
            ("def f():\n    while True: pass", Failure(Kind.TIME, "it used more than 1 s of processor time")),
            ("import os\ndef f(): os._exit(3)", Failure(Kind.BAD_RESULT, "the program ended without an answer")),
            (CRASH, Failure(Kind.CRASH, "the process was ended by signal 11: Segmentation fault")),
        ],
    )  # fmt: skip
    def test_a_failure_has_a_kind_a_message_and_a_line(self, sandbox: Sandbox, source: str, expected: Failure) -> None:
        assert failure(sandbox.run(source, "f")) == expected

    def test_a_value_that_is_not_a_number_is_refused(self, sandbox: Sandbox) -> None:
        assert failure(sandbox.run("def f(): return float('nan')", "f")).kind is Kind.BAD_RESULT

    def test_a_sleeper_is_stopped_by_the_clock(self) -> None:
        with Sandbox(Limits(wall_seconds=0.3)) as sandbox:
            outcome = sandbox.run("import time\ndef f(): time.sleep(60)", "f")
        assert failure(outcome) == Failure(Kind.TIME, "it ran for more than 0.3 s")

    def test_a_value_may_be_as_large_as_the_limit_and_no_larger(self) -> None:
        with Sandbox(Limits(result_bytes=1002)) as sandbox:
            assert sandbox.run("def f(): return 'x' * 1000", "f").value == "x" * 1000
            assert failure(sandbox.run("def f(): return 'x' * 1001", "f")).kind is Kind.BAD_RESULT

    def test_a_long_message_is_cut(self, sandbox: Sandbox) -> None:
        assert len(failure(sandbox.run("raise ValueError('x' * 10**6)", "f")).message) == 500


@needs_seccomp
class TestRuns:
    def test_one_run_does_not_change_the_next(self, sandbox: Sandbox) -> None:
        spoil = "import builtins, math, random\nmath.pi, builtins.sum = 3, len\nrandom.seed(7)\ndef f(): return math.pi"
        look = "import math, random\ndef f(): return [math.pi, sum([5, 5]), random.random()]"
        before = sandbox.run(look, "f").value
        assert sandbox.run(spoil, "f").value == 3
        assert sandbox.run(look, "f").value == before

    def test_hashes_and_global_generators_are_the_same_in_every_sandbox(self, sandbox: Sandbox) -> None:
        source = "import random, numpy\ndef f(): return [hash('whet'), random.random(), numpy.random.random()]"
        with Sandbox() as other:
            assert other.run(source, "f").value == sandbox.run(source, "f").value

    def test_many_jobs_come_back_in_their_order(self, sandbox: Sandbox) -> None:
        sources = ["def f(x): return x * x", "def f(x): return x / 0", "def f(x): return open('/x')"]
        jobs = [Job(sources[i % 3], "f", [i]) for i in range(30)]
        outcomes = sandbox.run_many(jobs, processes=4)
        kinds = [outcome.failure and outcome.failure.kind for outcome in outcomes]
        assert kinds == [None, Kind.EXCEPTION, Kind.FORBIDDEN] * 10
        assert [outcome.value for outcome in outcomes[::3]] == [i * i for i in range(0, 30, 3)]

    def test_threads_share_a_sandbox(self, sandbox: Sandbox) -> None:
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(lambda i: sandbox.run(ECHO, "echo", [i]), range(40)))
        assert [outcome.value for outcome in outcomes] == list(range(40))

    def test_a_large_argument_arrives(self, sandbox: Sandbox) -> None:
        assert sandbox.run("def f(rows): return sum(map(sum, rows))", "f", [[[1] * 1000] * 1000]).value == 10**6

    def test_no_descriptor_is_left_open(self, sandbox: Sandbox) -> None:
        sandbox.run(ECHO, "echo", [1])
        before = sorted(Path("/proc/self/fd").iterdir())
        for source in (ECHO, "1 / 0", "import os\nos._exit(1)", "print('x' * 10**6)"):
            sandbox.run(source, "echo", [1])
        assert sorted(Path("/proc/self/fd").iterdir()) == before


@needs_seccomp
class TestArguments:
    def test_modules_that_are_asked_for_can_be_imported(self) -> None:
        with Sandbox(modules=["colorsys"]) as sandbox:
            assert sandbox.run("import colorsys\ndef f(): return colorsys.rgb_to_hsv(0, 0, 1)[2]", "f").value == 1
            assert failure(sandbox.run("import numpy", "f")).message == "ModuleNotFoundError: No module named 'numpy'"

    def test_a_module_that_does_not_exist_is_named(self) -> None:
        with pytest.raises(InputError, match=r"^modules .* No module named 'no_such_module'; install"):
            Sandbox(modules=["no_such_module"])

    def test_arguments_must_be_json(self, sandbox: Sandbox) -> None:
        with pytest.raises(InputError, match=r"^arguments are not JSON: .*; give lists"):
            sandbox.run(ECHO, "echo", [{1}])

    def test_at_least_one_process_runs(self, sandbox: Sandbox) -> None:
        with pytest.raises(InputError, match="processes is 0"):
            sandbox.run_many([], processes=0)

    def test_a_closed_sandbox_says_so(self) -> None:
        sandbox = Sandbox()
        sandbox.close()
        sandbox.close()
        with pytest.raises(InputError, match="is closed"):
            sandbox.run(ECHO, "echo", [1])

    def test_a_kernel_that_does_not_keep_its_locks_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Sandbox, "_run", lambda *_: Outcome(["open"] * 4, None, 0.0, ""))
        with pytest.raises(SandboxError, match="does not keep programs locked in"):
            Sandbox()

    def test_a_trial_that_fails_says_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        late = Outcome(None, Failure(Kind.TIME, "it was late"), 0.0, "")
        monkeypatch.setattr(Sandbox, "_run", lambda *_: late)
        with pytest.raises(SandboxError, match="trial of its locks failed: it was late"):
            Sandbox()


def test_a_machine_without_filters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Capabilities, "detect", lambda: Capabilities("darwin", "arm64", False, 0))
    with pytest.raises(SandboxError, match=r"^Programs cannot be locked in on darwin arm64: .*; use such a machine\.$"):
        Sandbox()


@pytest.mark.parametrize("name", ["cpu_seconds", "wall_seconds", "memory_bytes", "output_bytes", "result_bytes"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_limits_are_positive_and_finite(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{name} is {value}"):
        Limits(**{name: value})  # type: ignore[arg-type]


class TestReadAnswer:
    @given(value=JSON)
    def test_a_value_is_read(self, value: Any) -> None:
        assert read_answer(json.dumps({"value": value}).encode()) == (value, None)

    @given(answer=st.binary() | st.text(alphabet='{}[]":,\\value10eE-.+uD8error').map(str.encode))
    def test_no_bytes_raise_an_exception(self, answer: bytes) -> None:
        value, found = read_answer(answer)
        assert found is None or (value is None and isinstance(found.kind, Kind))

    @pytest.mark.parametrize(
        "inner",
        [
            b"[" * 500_000 + b"]" * 500_000,
            b'{"a":' * 200_000,
            b"[],[" * 250_000,
            b'"' + b'\\"' * 500_000,
            b'"' * 999_999,
            b"\\" * 1_000_000,
            b'"\\' * 500_000,
            b"9" * 1_000_000,
            b"1." + b"9" * 1_000_000,
            (b"9" * 1000 + b",") * 1000,
            b"1e" + b"9" * 1_000_000,
        ],
    )
    def test_a_megabyte_made_to_be_slow_is_refused(self, inner: bytes) -> None:
        deep = sys.getrecursionlimit()
        sys.setrecursionlimit(10**6)  # a program's answer must not rely on the guard of the parser
        try:
            value, found = read_answer(b'{"value": ' + inner + b"}")
        finally:
            sys.setrecursionlimit(deep)
        assert found is not None
        assert (value, found.kind) == (None, Kind.BAD_RESULT)

    def test_brackets_in_strings_are_no_depth(self) -> None:
        value = "[" * 1000 + '\\"' + "{" * 1000
        assert read_answer(json.dumps({"value": value}).encode()) == (value, None)

    def test_control_characters_of_a_message_are_escaped(self) -> None:
        answer = json.dumps({"error": "exception", "message": "\x1b[2J\u202eab\n", "line": 1}).encode()
        assert read_answer(answer)[1] == Failure(Kind.EXCEPTION, "\\x1b[2J\\u202eab\n", 1)

    def test_a_text_is_cut(self) -> None:
        assert clean("x" * 10, 3) == "xxx"
