"""From a few pairs of grids to programs of a language model that reproduce them all.

Many programs are drawn and run, as in BARC (Li et al. 2024, arXiv 2411.02272, §3). The best of those that fail go back
to the model with their first mistake, as in Self-Debug (Chen et al. 2023, arXiv 2304.05128).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from whet.errors import InputError, ModelError
from whet.programs.images import Grid
from whet.programs.limits import Meter
from whet.programs.sandbox import Sandbox
from whet.programs.solution import Solution
from whet.programs.synthesis.prompt import first_prompt, program_of, refinement_prompt, task_text
from whet.programs.synthesis.trial import Trial, try_out
from whet.programs.synthesis.writers import Writer

_PORTION = 8
"""Answers that the writer is asked for at once: the time is looked at between portions."""
_REFINED = 4
"""Programs that are refined in a round."""


def synthesise(
    train: Sequence[tuple[Grid, Grid]],
    tests: Sequence[Grid],
    writer: Writer,
    *,
    sandbox: Sandbox,
    samples: int = 16,
    rounds: int = 1,
    seconds: float = 60.0,
    seed: int = 0,
) -> list[Solution]:
    """Programs that reproduce every training pair, best first, no two with the same outputs for all tests.

    Of outputs that several programs agree on, more programs count first and the shortest program second. A program
    that is written twice counts once.

    Args:
        train: pairs of input and output, each a 2-D array of colours from 0 to 9.
        tests: inputs of the tests.
        writer: who writes; it is shown the pairs and the inputs of the tests.
        sandbox: where programs run.
        samples: answers to draw in each round.
        rounds: how many rounds of refinement follow the first; each takes the most promising programs that failed and
            were not refined yet: those with the most pairs right, then cells, then the shortest.
        seconds: wall-clock time at most, but for the portion of answers that is under way when it ends. Where it ends
            the search, the result depends on the machine.
        seed: of the draws.

    Returns:
        Solutions whose cost is the length of the program (words and signs, without comments); an empty list if no
        program fits.

    Raises:
        InputError: there is no pair or no test, or a number is out of range.
        ModelError: the writer fails before a program fits; after that, what fits is returned.
        SandboxError: as `Sandbox.run`.
    """
    if not train or not tests:
        raise InputError(f"{len(train)} training pairs and {len(tests)} tests: give at least one of both.")
    if samples < 1 or rounds < 0 or not seconds >= 0 or seed < 0:
        raise InputError(
            f"samples={samples}, rounds={rounds}, seconds={seconds}, seed={seed}: give at least one sample, "
            "and no negative number."
        )
    meter = Meter(seconds)
    found = _Found(train, tests, sandbox)
    text = task_text(train, tests)
    prompts = [first_prompt(text, sandbox.modules)]
    for stage in range(rounds + 1):
        try:
            _draw(found, prompts, writer, samples, np.random.SeedSequence((seed, stage)), meter)
        except ModelError:
            if not found.fitting:
                raise
            break
        parents = found.next_to_refine(min(samples, _REFINED))
        if not parents:
            break
        prompts = [refinement_prompt(text, sandbox.modules, one.source, one.problem) for one in parents]
    return solutions(found.fitting)


class _Found:
    """The programs of a task so far, no two with the same source."""

    def __init__(self, train: Sequence[tuple[Grid, Grid]], tests: Sequence[Grid], sandbox: Sandbox) -> None:
        self._train, self._tests, self._sandbox = train, tests, sandbox
        self._sources: set[str] = set()
        self._failing: dict[Hashable, Trial] = {}
        self._refined: set[Hashable] = set()
        self.fitting: list[Trial] = []

    def add(self, source: str) -> None:
        """Try a program out, unless it was before; of those that fail alike, only the shortest is kept."""
        if source in self._sources:
            return
        self._sources.add(source)
        trial = try_out(source, self._train, self._tests, self._sandbox)
        if trial.fits:
            self.fitting.append(trial)
            return
        alike = self._failing.get(trial.behaviour)
        if alike is None or trial.length < alike.length:
            self._failing[trial.behaviour] = trial

    def next_to_refine(self, n: int) -> list[Trial]:
        """The `n` most promising that were not taken yet; of those that fail alike, one is."""
        left = [trial for behaviour, trial in self._failing.items() if behaviour not in self._refined]
        best = sorted(left, key=lambda trial: (-trial.right, -trial.cells, trial.length))[:n]
        self._refined.update(trial.behaviour for trial in best)
        return best


def _draw(
    found: _Found, prompts: Sequence[str], writer: Writer, samples: int, seeds: np.random.SeedSequence, meter: Meter
) -> None:
    """Ask for `samples` answers or a few more, the same number for each prompt, and try their programs out."""
    left = -(-samples // len(prompts))
    while left > 0 and meter.go_on():
        n = min(left, max(1, _PORTION // len(prompts)))
        left -= n
        seed = int(seeds.spawn(1)[0].generate_state(1)[0]) >> 2  # some servers take 31 bits, n added
        for answer in (answer for answers in writer.write(prompts, n, seed) for answer in answers):
            source = program_of(answer)
            if source is not None:
                found.add(source)


def solutions(fitting: Sequence[Trial]) -> list[Solution]:
    """One solution for each distinct prediction, by the number of programs that agree on it, then by length."""
    groups: dict[Hashable, list[Trial]] = {}
    for trial in fitting:
        groups.setdefault(trial.behaviour, []).append(trial)
    shortest = [min(group, key=lambda trial: trial.length) for group in groups.values()]
    ordered = sorted(shortest, key=lambda trial: (-len(groups[trial.behaviour]), trial.length))
    return [Solution(trial.source, float(trial.length), list(trial.predictions), "language model") for trial in ordered]
