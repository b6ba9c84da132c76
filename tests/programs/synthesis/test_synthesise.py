"""The search for programs with writers whose answers are known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from whet.errors import InputError, ModelError
from whet.models import LanguageModel
from whet.programs.sandbox import Capabilities, Limits, Sandbox
from whet.programs.synthesis import LocalWriter, synthesise

pytestmark = pytest.mark.skipif(not Capabilities.detect().seccomp, reason="this machine has no seccomp filters")
INPUTS = [np.array(rows, np.uint8) for rows in ([[1, 2, 3], [4, 5, 6]], [[7, 8], [0, 1]])]
TRAIN = [(grid, grid.T.copy()) for grid in INPUTS]
TESTS = [np.array([[5, 6, 7]], np.uint8)]
ZIP = "def transform(grid):\n    return list(zip(*grid))"
NUMPY = "import numpy as np\ndef transform(grid):\n    return np.array(grid).T"
LOOP = "def transform(grid):\n    return [[row[i] for row in grid] for i in range(len(grid[0]))]"
ELSE_ON_TEST = "def transform(grid):\n    return list(zip(*grid)) if len(grid) > 1 else [[9]]"
WRONG = "def transform(grid):\n    return grid"
ENDLESS = "def transform(grid):\n    while True: pass"


def fenced(source: str) -> str:
    return f"```python\n{source}\n```"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(cpu_seconds=0.4, wall_seconds=20, memory_bytes=64 * 2**20, result_bytes=2**16)) as made:
        yield made


@dataclass
class Script:
    """Answers prompt after prompt, each by the next of its answers, and with prose when they are used up."""

    answers: list[str]
    calls: list[tuple[list[str], int, int]] = field(default_factory=list)

    def write(self, prompts: Sequence[str], n: int, seed: int) -> list[list[str]]:
        self.calls.append((list(prompts), n, seed))
        return [[self.answers.pop(0) if self.answers else "No idea." for _ in range(n)] for _ in prompts]

    @property
    def prompts(self) -> list[str]:
        return [prompt for prompts, _, _ in self.calls for prompt in prompts]


@dataclass
class Mender:
    """Answers the first prompt with one source, and a refinement by a function of its prompt."""

    first: str
    mend: Callable[[str], str]

    def write(self, prompts: Sequence[str], n: int, seed: int) -> list[list[str]]:  # noqa: ARG002
        return [[fenced(self.mend(one) if "This program" in one else self.first)] * n for one in prompts]


def test_a_right_program_is_found_and_runs_on_the_tests(sandbox: Sandbox) -> None:
    (found,) = synthesise(TRAIN, TESTS, Script([fenced(ZIP)]), sandbox=sandbox, samples=1)
    assert found.program == ZIP
    assert [grid.tolist() for grid in found.predictions] == [[[5], [6], [7]]]


def test_programs_that_agree_are_one_solution_with_the_shortest_source(sandbox: Sandbox) -> None:
    (found,) = synthesise(TRAIN, TESTS, Script([LOOP, ZIP, NUMPY]), sandbox=sandbox, samples=3)
    assert found.program == ZIP


def test_agreement_goes_before_length_and_a_source_counts_once(sandbox: Sandbox) -> None:
    writer = Script([ELSE_ON_TEST] * 3 + [LOOP, LOOP.replace("row", "line")])
    found = synthesise(TRAIN, TESTS, writer, sandbox=sandbox, samples=5)
    assert [one.predictions[0].tolist() for one in found] == [[[5], [6], [7]], [[9]]]
    assert found[0].cost > found[1].cost
    tied = synthesise(TRAIN, TESTS, Script([ELSE_ON_TEST] * 3 + [ZIP]), sandbox=sandbox, samples=4)
    assert [one.program for one in tied] == [ZIP, ELSE_ON_TEST]
    assert tied[0].cost < tied[1].cost


def test_a_wrong_program_is_right_after_refinement(sandbox: Sandbox) -> None:
    seen: list[str] = []
    writer = Mender(WRONG, lambda prompt: seen.append(prompt) or ZIP)
    (found,) = synthesise(TRAIN, TESTS, writer, sandbox=sandbox, samples=1, rounds=1)
    assert found.program == ZIP
    assert f"```python\n{WRONG}\n```\n\nOn pair 1 Expected, 3 rows of 2:\n14\n25\n36\nGot, 2 rows of 3:" in seen[0]


def test_refinement_takes_as_many_rounds_as_it_is_given(sandbox: Sandbox) -> None:
    steps = {"[[1]]": "[[2]]", "[[2]]": "[[3]]", "[[3]]": "list(zip(*grid))"}

    def mend(prompt: str) -> str:
        now = next(step for step in steps if f"return {step}" in prompt)
        return f"def transform(grid): return {steps[now]}"

    writer = Mender("def transform(grid): return [[1]]", mend)
    assert synthesise(TRAIN, TESTS, writer, sandbox=sandbox, samples=1, rounds=2) == []
    assert len(synthesise(TRAIN, TESTS, writer, sandbox=sandbox, samples=1, rounds=3)) == 1


def test_without_rounds_nothing_is_refined(sandbox: Sandbox) -> None:
    writer = Script([WRONG])
    assert synthesise(TRAIN, TESTS, writer, sandbox=sandbox, samples=1, rounds=0) == []
    assert len(writer.calls) == 1


def test_nonsense_finds_nothing(sandbox: Sandbox) -> None:
    nonsense = ["", "No idea.", "```python\ndef transform(:\n```", "def transform", "\ud800", fenced("x = 1"), "```"]
    assert synthesise(TRAIN, TESTS, Script(nonsense), sandbox=sandbox, samples=8, rounds=2) == []


@pytest.mark.parametrize(
    "hostile",
    [
        ENDLESS,
        "while True: pass\ndef transform(grid): pass",
        "def transform(grid):\n    import os\n    os.kill(os.getppid(), 9)",
        "def transform(grid):\n    return [0] * 10**10",
        "def transform(grid):\n    return open('/etc/passwd').read()",
        "import numpy as np\nnp.array = None\nzip = None\ndef transform(grid): return grid",
    ],
)
def test_a_right_program_is_found_beside_a_hostile_one(sandbox: Sandbox, hostile: str) -> None:
    found = synthesise(TRAIN, TESTS, Script([hostile, NUMPY]), sandbox=sandbox, samples=2, rounds=0)
    assert [one.program for one in found] == [NUMPY]


def test_a_source_runs_once(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    run = sandbox.run
    monkeypatch.setattr(sandbox, "run", lambda *call: runs.append(call[0]) or run(*call))
    synthesise(TRAIN, TESTS, Script([ZIP, fenced(ZIP), f"Once more:\n\n{ZIP}"]), sandbox=sandbox, samples=3)
    assert runs == [ZIP] * 3  # two pairs and a test


def test_programs_that_fail_alike_are_refined_once_by_the_shortest(sandbox: Sandbox) -> None:
    longer = "def transform(grid):\n    same = grid\n    return same"
    writer = Script([longer, WRONG, longer.replace("same", "other")])
    synthesise(TRAIN, TESTS, writer, sandbox=sandbox, samples=3, rounds=3)
    first, *refined = writer.prompts
    assert "This program" not in first
    assert len(refined) == 1
    assert WRONG in refined[0]


def test_the_most_promising_are_refined_first_and_four_in_a_round(sandbox: Sandbox) -> None:
    def constant(rows: Any) -> str:
        return f"def transform(grid):\n    return {rows}"

    one_pair = constant(TRAIN[1][1].tolist())
    most_cells = constant("[[1, 4], [2, 5], [3, 0]] if len(grid[0]) == 3 else [[7, 0], [8, 0]]")
    two_cells = constant([[1, 4], [0, 0], [0, 0]])
    none = [constant([[value]]) for value in range(3)]
    writer = Script([*none, two_cells, most_cells, one_pair, "No idea.", "No idea."])
    synthesise(TRAIN, TESTS, writer, sandbox=sandbox, samples=8, rounds=2)
    (_, first), (second, n), (third, _) = ((prompts, n) for prompts, n, _ in writer.calls)
    assert (first, n) == (8, 2)
    for source, prompt in zip([one_pair, most_cells, two_cells, none[0]], second, strict=True):
        assert source in prompt
    assert [any(source in prompt for prompt in third) for source in none] == [False, True, True]


def test_a_program_that_fails_on_a_test_is_refined(sandbox: Sandbox) -> None:
    writer = Mender(
        "def transform(grid):\n    return list(zip(*grid)) if len(grid) > 1 else 1 / 0",
        lambda prompt: ZIP if "but on test 1 it failed, exception: ZeroDivisionError" in prompt else WRONG,
    )
    assert [one.program for one in synthesise(TRAIN, TESTS, writer, sandbox=sandbox, samples=1)] == [ZIP]


def test_samples_are_asked_for_in_portions_with_seeds_of_their_own(sandbox: Sandbox) -> None:
    def asked(seed: int) -> list[tuple[int, int]]:
        writer = Script([WRONG])
        synthesise(TRAIN, TESTS, writer, sandbox=sandbox, samples=19, rounds=1, seed=seed)
        return [(n, own) for _, n, own in writer.calls]

    assert [n for n, _ in asked(0)] == [8, 8, 3, 8, 8, 3]
    assert asked(0) == asked(0)
    assert len({own for seed in (0, 1) for _, own in asked(seed)}) == 12


def test_with_no_time_nothing_is_asked(sandbox: Sandbox) -> None:
    writer = Script([ZIP])
    assert synthesise(TRAIN, TESTS, writer, sandbox=sandbox, seconds=0) == []
    assert writer.calls == []


def test_when_the_time_is_over_what_is_written_is_still_tried(sandbox: Sandbox) -> None:
    class Slow(Script):
        def write(self, prompts: Sequence[str], n: int, seed: int) -> list[list[str]]:
            time.sleep(0.05)
            return super().write(prompts, n, seed)

    writer = Slow([WRONG, ZIP])
    (found,) = synthesise(TRAIN, TESTS, writer, sandbox=sandbox, samples=100, rounds=9, seconds=0.04)
    assert found.program == ZIP
    assert len(writer.calls) == 1


def test_a_writer_that_fails_costs_nothing_that_was_found(sandbox: Sandbox) -> None:
    class Failing(Script):
        def write(self, prompts: Sequence[str], n: int, seed: int) -> list[list[str]]:
            if not self.answers:
                raise ModelError("The server is gone.")
            return super().write(prompts, n, seed)

    found = synthesise(TRAIN, TESTS, Failing([ZIP, WRONG]), sandbox=sandbox, samples=2, rounds=1)
    assert [one.program for one in found] == [ZIP]
    with pytest.raises(ModelError, match="gone"):
        synthesise(TRAIN, TESTS, Failing([WRONG, WRONG]), sandbox=sandbox, samples=2, rounds=1)


@pytest.mark.parametrize(
    "wrong", [{"samples": 0}, {"rounds": -1}, {"seconds": -1}, {"seconds": float("nan")}, {"seed": -1}]
)
def test_numbers_out_of_range_are_named(sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        synthesise(TRAIN, TESTS, Script([]), sandbox=sandbox, **wrong)


def test_without_pairs_or_tests_there_is_no_task(sandbox: Sandbox) -> None:
    for train, tests in (([], TESTS), (TRAIN, [])):
        with pytest.raises(InputError, match="at least one of both"):
            synthesise(train, tests, Script([]), sandbox=sandbox)


def test_the_small_model_that_ships_with_whet_writes_and_finds_nothing(sandbox: Sandbox) -> None:
    from whet.decoding import Sampling

    writer = LocalWriter(LanguageModel.from_pretrained(), Sampling(max_tokens=16, temperature=0.8))
    assert synthesise(TRAIN, TESTS, writer, sandbox=sandbox, samples=2, rounds=1) == []
