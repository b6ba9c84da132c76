"""Training adapters: for each slot one gradient step an example, in the order given, with all slots in one pass."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from whet.adaptation.objectives import OBJECTIVES, Lesson, Objective
from whet.adaptation.objectives.base import read_lessons
from whet.adaptation.objectives.lengths import check_too_long
from whet.adaptation.prefixes import Prefixes
from whet.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from whet.adaptation.bank import AdapterBank
    from whet.models import LanguageModel
    from whet.types import Example

_TOKENS_A_PASS = 2048  # more tokens together are no faster, and cost memory


@dataclass(frozen=True)
class TrainConfig:
    """How an adapter is trained.

    Attributes:
        lr: learning rate of Adam, constant.
        objective: one of `OBJECTIVES`: learn `all` tokens of an example, its `completion` (the target) only, …
        too_long: what to do with an example longer than the context: `cut` learns the part that there is room for,
            `split` all of it in one step, read in stretches that each fit, and `refuse` raises an error.
        clip: largest norm of a gradient; longer ones are shortened to it. None leaves them as they are.
        reuse_gradients: when an example comes again right after itself, take every second step by the gradient of the
            step before (HullFT, arXiv 2605.30337): half the time for such steps, and not quite the same adapter.
        checkpointing: keep only what enters each block and compute the rest again on the way back: long examples then
            need less memory, and a step a third more time.
        precision: of the products with frozen matrices, `float32` or `bfloat16`. On a processor that is faster with the
            latter, steps then take a quarter to a third less time; on others both are float32.
    """

    lr: float = 3e-3
    objective: str = "all"
    too_long: str = "cut"
    clip: float | None = None
    reuse_gradients: bool = False
    checkpointing: bool = False
    precision: str = "float32"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InputError(f"lr={self.lr}: the learning rate is a positive number, such as 0.003.")
        if self.objective not in OBJECTIVES:
            raise InputError(f"objective={self.objective!r}: give one of {', '.join(OBJECTIVES)}.")
        check_too_long(self.too_long)
        if self.clip is not None and not self.clip > 0:
            raise InputError(f"clip={self.clip}: give a positive number, or None not to clip.")
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"precision={self.precision!r}: give float32 or bfloat16.")


@dataclass
class Trace:
    """What happened to a slot.

    Attributes:
        losses: loss of each step before it was taken, in bits per byte.
        tokens: tokens that were read in training.
        failed: why training ended early, if a loss or gradient was not finite; that step was not taken.
    """

    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    failed: str | None = None

    @property
    def steps(self) -> int:
        """Gradient steps that were taken."""
        return len(self.losses) - (self.failed is not None)


@dataclass(frozen=True)
class Job:
    """What one adapter learns.

    Attributes:
        examples: one gradient step each, in order.
        seed: of its first weights.
    """

    examples: Sequence[Example]
    seed: int = 0


@dataclass(frozen=True)
class Done:
    """An adapter that has been trained.

    Attributes:
        job: number of its job, from 0.
        tensors: its weights, for `AdapterBank.load`.
        trace: what happened.
    """

    job: int
    tensors: dict[str, Tensor]
    trace: Trace


@dataclass
class _Course:
    """A slot at work: the lessons ahead, the last one and its gradient."""

    ahead: deque[Lesson]
    trace: Trace = field(default_factory=Trace)
    last: Lesson | None = None
    gradient: Tensor | None = None


class Trainer:
    """Trains the slots of a bank on a frozen language model; the state of a slot's Adam lives until the slot is reset.

    Source: Hübotter et al. 2025, arXiv 2410.08020: one step a pick, in pick order, batch of one, back to the base
    model after each query. They train all weights, one query at a time; here only adapters move, and a step of many
    queries is one pass. A slot comes out as if it had been trained alone.

    Args:
        model: the frozen model.
        bank: slots on that model.
        config: how they are trained.
        objective: what is minimised, where the name and `too_long` of the configuration do not say enough.
        prefixes: where to keep what the blocks below the adapters make of the examples, for adapters in the last
            blocks only; a store of its own if not given.
    """

    def __init__(
        self,
        model: LanguageModel,
        bank: AdapterBank,
        config: TrainConfig,
        *,
        objective: Objective | None = None,
        prefixes: Prefixes | None = None,
    ) -> None:
        self.model = model
        self.bank = bank
        self.config = config
        self.objective = objective or OBJECTIVES[config.objective](too_long=config.too_long)
        first = bank.bound.first_block
        if prefixes is not None and prefixes.block != first:
            raise InputError(
                f"the prefixes end before block {prefixes.block}, but the adapters begin in block {first}."
            )
        self._prefixes = prefixes or Prefixes(model, first)

    def run(
        self,
        examples: Mapping[int, Sequence[Example]],
        *,
        stop: Callable[[int], bool] | None = None,
        leave: Callable[[int, Trace], bool] | None = None,
    ) -> dict[int, Trace]:
        """Take a step on each slot's next example until all are used up.

        Args:
            examples: by slot.
            stop: asked before each step with the number of steps so far; True ends training.
            leave: asked after each step with a slot and what happened to it; True ends the training of that slot.

        Raises:
            InputError: an example has no target, or is too long and was to be refused.
        """
        taken = 0
        with self.bank.attached():
            courses = {slot: self._course(those) for slot, those in examples.items()}
            while any(course.ahead for course in courses.values()) and not (stop is not None and stop(taken)):
                self._step({slot: course for slot, course in courses.items() if course.ahead})
                taken += 1
                for slot, course in courses.items():
                    if leave is not None and course.ahead and leave(slot, course.trace):
                        course.ahead.clear()
        return {slot: course.trace for slot, course in courses.items()}

    def run_jobs(self, jobs: Iterable[Job]) -> Iterator[Done]:
        """Train any number of adapters, as many at a time as the bank has slots; each comes as soon as it is done.

        A slot that is free takes the next job at once, so that short jobs do not wait for long ones.

        Raises:
            InputError: an example has no target, or is too long and was to be refused.
        """
        waiting = iter(enumerate(jobs))
        at_work: dict[int, tuple[int, _Course]] = {}
        while True:
            for slot in sorted(set(range(self.bank.slots)) - at_work.keys()):
                number, job = next(waiting, (0, None))
                if job is None:
                    break
                self.bank.reset(slot, seed=job.seed)
                with self.bank.attached():
                    at_work[slot] = number, self._course(job.examples)
            if not at_work:
                return
            busy = {slot: course for slot, (_, course) in at_work.items() if course.ahead}
            if busy:
                with self.bank.attached():
                    self._step(busy)
            for slot in [slot for slot, (_, course) in at_work.items() if not course.ahead]:
                number, course = at_work.pop(slot)
                yield Done(number, self.bank.tensors(slot), course.trace)

    def _course(self, examples: Sequence[Example]) -> _Course:
        """The lessons of these examples; made with the bank attached, for adapters may take some of the context."""
        return _Course(deque(self.objective.lesson(self.model, example) for example in examples))

    def _step(self, courses: Mapping[int, _Course]) -> None:
        """Take one step for each of these slots."""
        lessons = {slot: course.ahead.popleft() for slot, course in courses.items()}
        again = {slot for slot, lesson in lessons.items() if self._repeats(courses[slot], lesson)}
        for slot in again:
            self._again(slot, courses[slot])
        fresh = {slot: lesson for slot, lesson in lessons.items() if slot not in again}
        for together in _passes(fresh, alone=self.bank.bound.alone):
            self._learn(together, courses)

    def _learn(self, lessons: Mapping[int, Lesson], courses: Mapping[int, _Course]) -> None:
        """A pass for these slots, there and back, and a step of each along its gradient."""
        import torch

        from whet.models.precision import products_in

        reader = self.model.reader
        batch = read_lessons(reader, list(lessons.values()))
        first = self.bank.bound.first_block
        prefix = self._prefixes.get([ids for lesson in lessons.values() for ids in lesson.sequences]) if first else None
        self.bank.route(list(lessons), batch.rows, learn=True)
        saving = reader.checkpointing(batch) if self.config.checkpointing else nullcontext()
        with torch.enable_grad(), saving, products_in(self.config.precision):
            hidden = reader.hidden(batch, prefix=prefix, block=first)
            losses = self.objective.losses(reader, hidden, batch, list(lessons.values()))
            losses.sum().backward()
        moved = self.bank.step(self._optimiser, clip=self.config.clip)
        for place, (slot, loss) in enumerate(zip(lessons, losses.tolist(), strict=True)):
            course, lesson = courses[slot], lessons[slot]
            course.trace.losses.append(lesson.bits_per_byte(loss))
            course.trace.tokens += sum(map(len, lesson.sequences))
            course.last = lesson
            if self.config.reuse_gradients:
                course.gradient = self.bank.gradient(place)
            if slot not in moved:
                steps = len(course.trace.losses)
                course.trace.failed = f"the loss or its gradient is not finite in step {steps} (loss {loss})"
                course.ahead.clear()

    def _repeats(self, course: _Course, lesson: Lesson) -> bool:
        return course.gradient is not None and course.last == lesson

    def _again(self, slot: int, course: _Course) -> None:
        """A step along the gradient of the step before, which is then used up."""
        assert course.gradient is not None
        self.bank.nudge(slot, course.gradient, self._optimiser)
        course.gradient = None
        course.trace.losses.append(course.trace.losses[-1])

    def _optimiser(self, rows: list[Tensor]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.Adam(rows, lr=self.config.lr, fused=True)


def _passes(lessons: Mapping[int, Lesson], *, alone: bool) -> Iterator[dict[int, Lesson]]:
    """Split what is to be read into passes of a bounded number of tokens or of one slot, equal lengths side by side."""
    together: dict[int, Lesson] = {}
    tokens = 0
    lengths = {slot: sum(map(len, lesson.sequences)) for slot, lesson in lessons.items()}
    for slot in sorted(lessons, key=lambda slot: (lengths[slot], slot)):
        length = lengths[slot]
        if together and (alone or tokens + length > _TOKENS_A_PASS):
            yield together
            together, tokens = {}, 0
        together[slot] = lessons[slot]
        tokens += length
    if together:
        yield together
