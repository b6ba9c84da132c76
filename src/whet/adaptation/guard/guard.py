"""The guard: an adapter answers only after its effect on text that it was not trained on has been seen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from whet.adaptation.guard.canary import CANARY
from whet.adaptation.guard.reading import Reading, divergence, mean_nats, prompt_lesson, read_base, read_slots
from whet.adaptation.guard.snapshots import Snapshots
from whet.adaptation.guard.verdict import Finding, Gain, GuardConfig, decide, report
from whet.adaptation.guard.witness import last_new, measure_gain
from whet.adaptation.objectives import NextToken
from whet.adaptation.objectives.base import lesson_bits
from whet.errors import InputError
from whet.types import Example, GuardReport

if TYPE_CHECKING:
    from whet.adaptation.bank import AdapterBank
    from whet.adaptation.objectives import Objective
    from whet.adaptation.trainer import Trace
    from whet.models import LanguageModel

_LEAST_TOKENS = 8  # the loss on a shorter prompt says next to nothing


class Guard:
    """Judges adapters, with one pass of the base model and one of the adapter and its earlier states:

    - The loss on the query's own prompt must surely fall. A prompt of a few tokens says too little; then the last picks
      take its place, each by its loss before its own step. Training knows these, so only the base model reads them.
    - General text must not get much worse.
    - Nor may private examples, such as the refusals that a model was taught: training at test time can undo that
      (arXiv 2605.22984).
    - At the end of the prompt the predictions must stay within a KL divergence of the base model's.

    Args:
        model: the frozen model.
        bank: slots on that model.
        objective: what the adapters are trained by.
        config: tolerances.
        canary: the general text, each piece cut at the context.
        safety: private examples; the loss on their targets counts, given their inputs.

    Raises:
        InputError: there is no general text, or a text or target is empty.
    """

    def __init__(
        self,
        model: LanguageModel,
        bank: AdapterBank,
        objective: Objective,
        config: GuardConfig | None = None,
        *,
        canary: Sequence[str] = CANARY,
        safety: Sequence[Example] = (),
    ) -> None:
        if not canary:
            raise InputError("canary=(): give at least one piece of general text.")
        self.model = model
        self.bank = bank
        self.objective = objective
        self.config = config or GuardConfig()
        self._canary = [NextToken().lesson(model, Example(target=text)) for text in canary]
        self._safety = [NextToken(completion=True).lesson(model, example) for example in safety]

    def snapshots(self, steps: int, into: Sequence[int], *, slot: int = 0) -> Snapshots:
        """What the trainer takes as its `leave` so that earlier states of a slot are there when it is judged.

        Args:
            steps: how many are planned.
            into: slots that the copies go to, one for each of the configuration's snapshots.
            slot: what is trained.

        Raises:
            InputError: there are not as many slots as snapshots.
        """
        if len(into) != len(self.config.snapshots):
            raise InputError(
                f"into={list(into)}: give one slot for each of the snapshots after {list(self.config.snapshots)} "
                "of the steps."
            )
        times = [round(share * steps) for share in self.config.snapshots]
        return Snapshots(self.bank, {slot: {n: to for n, to in zip(times, into, strict=True) if 0 < n < steps}})

    def judge(
        self,
        prompt: str,
        *,
        slot: int = 0,
        learnt: Sequence[Example] = (),
        trace: Trace | None = None,
        snapshots: Snapshots | None = None,
    ) -> GuardReport:
        """Judge the adapter in a slot for a query, and put its best state there.

        After `rolled_back` the slot holds what was rejected; the base model is to answer.

        Args:
            prompt: the query as the model will read it.
            slot: what was trained, or loaded.
            learnt: the examples that it was trained on, in order.
            trace: how that went; None for an adapter that was made for another query.
            snapshots: earlier states of it.

        Raises:
            InputError: the prompt is empty.
        """
        findings, tokens = self.inspect(prompt, slot=slot, learnt=learnt, trace=trace, snapshots=snapshots)
        chosen = decide(findings, self.config)
        if chosen is not None and chosen is not findings[-1] and snapshots is not None:
            self.bank.load(slot, self.bank.tensors(snapshots.taken(slot)[chosen.step]))
        return report(findings, chosen, self.config, tokens=tokens)

    def inspect(
        self,
        prompt: str,
        *,
        slot: int = 0,
        learnt: Sequence[Example] = (),
        trace: Trace | None = None,
        snapshots: Snapshots | None = None,
    ) -> tuple[list[Finding], int]:
        """What `judge` decides by: a finding for each state of the adapter, the last one last, and the tokens read."""
        lesson = prompt_lesson(self.model, prompt)
        if lesson is None:
            raise InputError("the prompt is empty, so no adapter can be judged for it; give some text.")
        steps = trace.steps if trace else 0
        tells = lesson.learnt >= _LEAST_TOKENS
        # the picks' losses before their own steps tell of the last state only
        earlier = snapshots.taken(slot) if snapshots and tells else {}
        states = {step: place for step, place in earlier.items() if step < steps} | {steps: slot}
        lessons = [lesson, *self._canary, *self._safety]
        base = [*read_base(self.model, [lesson], tail=True), *self._base]
        adapted = read_slots(self.model, self.bank, list(states.values()), lessons, tail=True)
        tokens = len(lesson.ids) + len(states) * sum(len(each.ids) for each in lessons)
        if tells:
            gains: list[Gain | None] = [
                measure_gain(base[0].nats, after[0].nats, self.config.confidence, unit=lesson.bits_per_byte(1.0))
                for after in adapted
            ]
        else:
            gains = [self._gain_of_picks(learnt, trace)]
        findings = [
            self._finding(step, gain, base, after) for step, gain, after in zip(states, gains, adapted, strict=True)
        ]
        return findings, tokens

    @cached_property
    def _base(self) -> list[Reading]:
        """What the base model finds in the general text and in the private examples; it never changes."""
        return read_base(self.model, [*self._canary, *self._safety])

    def _gain_of_picks(self, learnt: Sequence[Example], trace: Trace | None) -> Gain | None:
        places = last_new(learnt[: len(trace.losses)]) if trace else []
        if not places or trace is None:
            return None
        before = [lesson_bits(self.model, self.objective, self.objective.lesson(self.model, learnt[i])) for i in places]
        return measure_gain(before, [trace.losses[i] for i in places], self.config.confidence)

    def _finding(self, step: int, gain: Gain | None, base: Sequence[Reading], after: Sequence[Reading]) -> Finding:
        """What the readings of prompt, general text and private examples say."""
        general, private = slice(1, 1 + len(self._canary)), slice(1 + len(self._canary), None)
        return Finding(
            step=step,
            gain=gain,
            canary=mean_nats(after[general]) / mean_nats(base[general]) - 1,
            safety=mean_nats(after[private]) - mean_nats(base[private]) if self._safety else None,
            kl=divergence(base[0], after[0]),
        )
