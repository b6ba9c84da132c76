"""The loop: embed, search, select, adapt, check, answer, remember."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from whet.adaptation import OBJECTIVES, Guard, Trainer
from whet.config import EngineConfig
from whet.control import AdaptiveStop, Budget, Meter, TimeLimit
from whet.decoding import Sampling, generate
from whet.errors import InputError, StoreError
from whet.memory import Candidates, Memory
from whet.models import WHET_BASE, LanguageModel, forward_flops
from whet.recall import Recall, Recalled
from whet.selection import SELECTORS, Choice, Selector
from whet.types import Answer, Example, GuardReport, Pick, Plan

if TYPE_CHECKING:
    import numpy as np

    from whet.adaptation import AdapterBank


@dataclass(frozen=True)
class Picked:
    """What selection chose for a query: the picks in order, and the selector's own account of them."""

    picks: tuple[Pick, ...]
    choice: Choice

    @property
    def examples(self) -> list[Example]:
        """The examples of the picks, in order, with repeats."""
        return [pick.example for pick in self.picks]


@dataclass(frozen=True)
class _Learnt:
    """How the model was made ready for a query; `bank` has the adapter, if any, in slot 0."""

    bank: AdapterBank | None
    plan: Plan
    guard: GuardReport
    picks: tuple[Pick, ...] = ()
    uncertainty: tuple[float, ...] = (1.0,)
    losses: tuple[float, ...] = ()
    adapter_id: str | None = None
    notes: tuple[str, ...] = ()


class Engine:
    """A model, a memory and the way to use them; answers one query at a time.

    Args:
        model: the frozen base model.
        memory: what can be learnt from.
        config: how the loop is run.
        safety: private examples, such as refusals that the model was taught: an adapter that raises the loss on their
            targets too much is rolled back.
        clock: seconds, for budgets and costs.

    Attributes:
        guarded: how often the guard came to which finding.
    """

    def __init__(
        self,
        model: LanguageModel,
        memory: Memory,
        config: EngineConfig | None = None,
        *,
        safety: Sequence[Example] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.model = model
        self.memory = memory
        self.config = config or EngineConfig()
        self.safety = tuple(safety)
        self.guarded: Counter[str] = Counter()
        self._clock = clock
        self.recall = Recall(model, memory, self.config)
        self._seconds_per_token: float | None = None

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = WHET_BASE,
        *,
        memory: Memory,
        config: EngineConfig | None = None,
        device: str = "cpu",
    ) -> Engine:
        """An engine on the model that ships with whet, or on any causal LM by hub name or path.

        Raises:
            ModelError: the model cannot be loaded.
        """
        return cls(LanguageModel.from_pretrained(name, device=device), memory, config)

    @cached_property
    def bank(self) -> AdapterBank:
        """Slot 0 is what adapters are trained in and answers are given with; the others are for its earlier states."""
        from whet.adaptation import AdapterBank

        config = self.config
        return AdapterBank(self.model.module, config.lora, slots=1 + len(config.tolerances.snapshots) * config.guard)

    def answer(self, prompt: str, *, budget: Budget | None = None, sampling: Sampling | None = None) -> Answer:
        """Sharpen the model on `prompt` and continue it; the model is as before when this returns.

        Args:
            prompt: what the memory is searched with and what the answer continues.
            budget: limits on gradient steps and on seconds for the whole answer.
            sampling: how the answer is generated; greedy unless told.

        Raises:
            InputError: the prompt is empty.
            EmptyMemoryError: there is nothing to learn from.
            ModelError: the model lacks the modules that the adapter should change.
        """
        if not prompt.strip():
            raise InputError(f"the prompt {prompt!r} is empty; give some text to answer.")
        budget, sampling, meter = budget or Budget(), sampling or Sampling(seed=self.config.seed), Meter(self._clock)
        with meter.phase("embed"):
            vector = self.memory.embed([prompt])[0]
        start = Recalled()
        if self.config.reuse is not None:
            with meter.phase("cache"):
                start = self.recall.find(vector, self.bank)
        learnt = self._reused(prompt, start, meter) if start.bank is not None and not start.warm else None
        if learnt is None:
            learnt = self._learn(prompt, vector, meter, budget, sampling, start)
        with meter.phase("generate"), self._ready(learnt):
            generated = generate(self.model, prompt, sampling)
        self._count(meter, "prompt", generated.prompt_tokens)
        self._count(meter, "generated", generated.tokens, before=generated.prompt_tokens)
        notes = list(learnt.notes)
        if generated.truncated:
            notes.append(f"the prompt is longer than the context ({self.model.context} tokens); its last part was read")
        return Answer(
            text=generated.text,
            picks=learnt.picks,
            uncertainty=learnt.uncertainty,
            plan=learnt.plan,
            cost=meter.cost(),
            guard=learnt.guard,
            losses=learnt.losses,
            adapter_id=learnt.adapter_id,
            notes=tuple(notes),
        )

    def pick(
        self, candidates: Candidates, *, n: int | None = None, selector: Selector | None = None, adaptive: bool = True
    ) -> Picked:
        """Choose `n` of the candidates (the configured number and selector unless told).

        Raises:
            InputError: there are fewer candidates than a selector without replacement was asked for.
        """
        config = self.config
        chosen = selector or SELECTORS[config.selector](noise=config.noise)
        stop = AdaptiveStop(config.alpha) if adaptive and config.alpha is not None else None
        choice = chosen.choose(candidates.vectors, candidates.query, n or config.picks, stop=stop)
        examples = self.memory.get([candidates.ids[i] for i in choice.indices])
        picks = tuple(
            Pick(example, float(candidates.similarities[i]), float(variance))
            for example, i, variance in zip(examples, choice.indices, choice.variances[1:], strict=True)
        )
        return Picked(picks, choice)

    def _reused(self, prompt: str, start: Recalled, meter: Meter) -> _Learnt | None:
        """Ready to answer with what earlier queries have learnt, unless the guard is against it."""
        assert start.bank is not None
        assert start.nearest is not None
        guard = GuardReport("skipped", None, None, "turned off")
        if self.config.guard:
            with meter.phase("guard"):
                guard = self._guard(start.bank).judge(prompt)
            self._count(meter, "guard", guard.tokens)
        self.guarded[guard.status] += 1
        if guard.status == "rolled_back":
            return None
        merged = f" and {self.config.merge - 1} more" if self.config.merge > 1 else ""
        reason = f"an adapter of a query with cosine {start.nearest.similarity:.3f} to this one{merged} was reused"
        return _Learnt(bank=start.bank, plan=Plan("reuse", 0, 0, reason), guard=guard, adapter_id=start.nearest.id)

    def _learn(
        self, prompt: str, vector: np.ndarray, meter: Meter, budget: Budget, sampling: Sampling, start: Recalled
    ) -> _Learnt:
        """Select, train and check an adapter for this query, and remember it if it was kept."""
        config = self.config
        with meter.phase("search"):
            candidates = self.memory.search(vector, config.candidates)
        with meter.phase("select"):
            picked = self.pick(candidates, n=config.picks if budget.steps is None else min(config.picks, budget.steps))
        to_learn = picked.examples
        snapshots = self._guard(self.bank).snapshots(len(to_learn), range(1, self.bank.slots)) if config.guard else None
        limit = self._time_limit(budget, meter, sampling)
        with meter.phase("train"):
            if not start.warm:
                self.bank.reset(0, seed=config.seed)
            trace = Trainer(self.model, self.bank, config.train).run({0: to_learn}, stop=limit, leave=snapshots)[0]
        steps = trace.steps
        self._count(meter, "train", trace.tokens, passes=2)
        guard = GuardReport("skipped", None, None, "nothing was trained" if config.guard else "turned off")
        if config.guard and steps:
            with meter.phase("guard"):
                guard = self._guard(self.bank).judge(prompt, learnt=to_learn, trace=trace, snapshots=snapshots)
            self._count(meter, "guard", guard.tokens)
        self.guarded[guard.status] += 1
        helps = steps > 0 and guard.status != "rolled_back"
        adapter_id, notes = None, [start.note] if start.note else []
        if helps and config.reuse is not None:
            with meter.phase("remember"):
                try:
                    adapter_id = self.recall.remember(vector, self.bank, to_learn[: guard.step or steps], start)
                except StoreError as error:  # the answer is not lost with it
                    notes.append(str(error))
        return _Learnt(
            bank=self.bank if helps else None,
            plan=Plan(
                rung="adapt" if helps else "base",
                picks=len(picked.picks),
                steps=steps,
                reason=self._reason(picked, steps, len(to_learn), guard, start),
            ),
            guard=guard,
            picks=picked.picks,
            uncertainty=tuple(float(v) for v in picked.choice.variances),
            losses=tuple(trace.losses),
            adapter_id=adapter_id,
            notes=(*self._notes(prompt), *notes),
        )

    def _time_limit(self, budget: Budget, meter: Meter, sampling: Sampling) -> TimeLimit | None:
        """When training must end so that there is time left to generate; None without a budget in seconds."""
        if budget.seconds is None:
            return None
        if self._seconds_per_token is None:
            with meter.phase("rehearse"):
                began = self._clock()
                tokens = generate(self.model, "\n", Sampling(max_tokens=8)).tokens
                self._seconds_per_token = (self._clock() - began) / max(1, tokens)
        generating = sampling.max_tokens * self._seconds_per_token
        return TimeLimit(budget.seconds - generating - meter.elapsed(), self._clock)

    def _reason(self, picked: Picked, steps: int, wanted: int, guard: GuardReport, start: Recalled) -> str:
        if steps < wanted:
            return f"the budget in seconds ended training after {steps} of {wanted} steps"
        if guard.status == "rolled_back":
            return "rolled back by the guard"
        if picked.choice.stopped:
            return (
                f"the uncertainty left is too large for more than {len(picked.picks)} picks (alpha={self.config.alpha})"
            )
        if start.warm and start.nearest is not None:
            return f"all {wanted} steps, from the adapter of a query with cosine {start.nearest.similarity:.3f}"
        return f"all {wanted} steps that were asked for"

    def _notes(self, prompt: str) -> tuple[str, ...]:
        if Example(target=prompt).id in self.memory:
            return ("an exact copy of the query is in the memory, and was open to selection",)
        return ()

    @cached_property
    def _own_guard(self) -> Guard:
        return self._guard_of(self.bank)

    def _guard(self, bank: AdapterBank) -> Guard:
        """The guard of a bank; that of the engine's own is kept, with what it knows of the base model."""
        return self._own_guard if bank is self.bank else self._guard_of(bank)

    def _guard_of(self, bank: AdapterBank) -> Guard:
        objective = OBJECTIVES[self.config.train.objective]()
        return Guard(self.model, bank, objective, self.config.tolerances, safety=self.safety)

    def _ready(self, learnt: _Learnt) -> AbstractContextManager[None]:
        return learnt.bank.using(0) if learnt.bank is not None else nullcontext()

    def _count(self, meter: Meter, use: str, tokens: int, *, before: int = 0, passes: int = 1) -> None:
        meter.count(tokens={use: tokens}, flops=passes * forward_flops(self.model, tokens, before))
