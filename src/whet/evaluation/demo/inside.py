"""One query from inside: what was picked and why, what each step did, what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from whet.adaptation import Trainer
from whet.adaptation.objectives.base import lesson_bits
from whet.decoding import Sampling, generate, score_text
from whet.engine import Engine
from whet.memory import Candidates
from whet.selection import Nearest, PassedOver, Random, Selector, explain
from whet.types import Answer, Example, Query

_MOST_TRIED = 6
NEAR_DUPLICATE = 0.8
"""Cosine of two examples from which on the demo calls the one a near-duplicate of the other."""


@dataclass(frozen=True)
class Neighbour:
    """A nearest neighbour that SIFT did not pick, and why."""

    example: Example
    why: PassedOver


@dataclass(frozen=True)
class Step:
    """A gradient step: the loss on its pick before and after it, in bits per byte."""

    example: Example
    before: float
    after: float


@dataclass(frozen=True)
class Inside:
    """Everything that happened to one query.

    Attributes:
        place: where its text is from.
        refused: queries that came before it and whose adapters were rolled back.
        query: what the memory was searched with, and how the text really goes on.
        answer: of the engine.
        steps: the training, step by step.
        plain: completion by the base model; the adapted one is `answer.text`.
        bits_before, bits_after: bits per byte of how the text really goes on, by the base model and by what answered.
        traces: posterior variance by selector, before any pick and after each.
        passed_over: of as many nearest neighbours as there are picks, those not picked, those first that resemble a
            pick or a nearer neighbour most.
        elsewhere: share of the prior variance that the picks removed which are not among these neighbours.
    """

    place: str
    refused: int
    query: Query
    answer: Answer
    steps: tuple[Step, ...]
    plain: str
    bits_before: float
    bits_after: float
    traces: dict[str, tuple[float, ...]]
    passed_over: tuple[Neighbour, ...]
    elsewhere: float

    @property
    def near_duplicates(self) -> tuple[Neighbour, ...]:
        """Neighbours passed over that resemble a pick or a nearer neighbour by `NEAR_DUPLICATE` or more."""
        return tuple(passed for passed in self.passed_over if _likeness(passed) >= NEAR_DUPLICATE)

    @property
    def lost(self) -> float:
        """Share of the prior variance that the neighbours passed over would have removed in their turn."""
        gains = -np.diff(self.traces["nearest"])
        return float(sum(gains[passed.why.rank - 1] for passed in self.passed_over))


def look_inside(engine: Engine, queries: Mapping[str, Query], *, tokens: int) -> Inside:
    """Answer one query by an engine that trains anew, and take the steps again to see what each did.

    It is the first whose adapter the guard lets answer, of the first few; the very first if there is none among them.

    Args:
        engine: how; nothing is reused or remembered.
        queries: by where their texts are from; with targets.
        tokens: length of the completions.
    """
    alone = Engine(engine.model, engine.memory, replace(engine.config, reuse=None, selector="sift"))
    sampling = Sampling(max_tokens=tokens)
    tried = list(queries.items())[:_MOST_TRIED]
    answers = ((n, *one, alone.answer(one[1].text, sampling=sampling)) for n, one in enumerate(tried))
    kept = next((found for found in answers if found[-1].plan.rung == "adapt"), None)
    refused, place, query, answer = kept or (0, *tried[0], alone.answer(tried[0][1].text, sampling=sampling))
    steps = _steps(alone, [pick.example for pick in answer.picks])
    target = query.target or ""
    before = score_text(engine.model, target, given=query.given).bits_per_byte
    with alone.bank.using(0):
        adapted = score_text(engine.model, target, given=query.given).bits_per_byte
    vector = alone.memory.embed([query.text])[0]
    candidates = alone.memory.search(vector, alone.config.candidates)
    anywhere = alone.memory.sample(alone.config.candidates, alone.config.seed, query=vector)
    n = len(answer.picks)
    return Inside(
        place=place,
        refused=refused,
        query=query,
        answer=answer,
        steps=tuple(steps),
        plain=generate(engine.model, query.given, Sampling(max_tokens=tokens)).text,
        bits_before=before,
        bits_after=adapted if answer.plan.rung == "adapt" else before,
        traces={
            f"sift({alone.config.noise:g})": answer.uncertainty,
            "nearest": _trace(Nearest(alone.config.noise), candidates, n),
            "random": _trace(Random(seed=alone.config.seed, noise=alone.config.noise), anywhere, n),
        },
        passed_over=_passed_over(alone, candidates, n),
        elsewhere=_removed_elsewhere(answer, set(candidates.ids[:n])),
    )


def _steps(engine: Engine, picks: Sequence[Example]) -> list[Step]:
    """Take the engine's steps once more, with a look at the loss after each; the adapter is then in the bank."""
    config = engine.config
    engine.bank.reset(0, seed=config.seed)
    trainer = Trainer(engine.model, engine.bank, config.train)
    steps = []
    for example in picks:
        trace = trainer.run({0: [example]})[0]
        part = trainer.objective.lesson(engine.model, example)
        with engine.bank.using(0):
            after = lesson_bits(engine.model, trainer.objective, part)
        steps.append(Step(example, trace.losses[-1], after))
    return steps


def _trace(selector: Selector, candidates: Candidates, n: int) -> tuple[float, ...]:
    """Variance of the query before any pick of a selector and after each."""
    choice = selector.choose(candidates.vectors, candidates.query, n)
    return tuple(float(variance) for variance in choice.variances)


def _passed_over(engine: Engine, candidates: Candidates, n: int) -> tuple[Neighbour, ...]:
    """Of the `n` nearest neighbours, those that are not among the engine's `n` picks."""
    choice = engine.pick(candidates, n=n).choice
    explanation = explain(candidates.vectors, candidates.query, choice, noise=engine.config.noise, nearest=n)
    examples = engine.memory.get([candidates.ids[passed.row] for passed in explanation.passed_over])
    neighbours = map(Neighbour, examples, explanation.passed_over)
    return tuple(sorted(neighbours, key=lambda neighbour: -_likeness(neighbour)))


def _likeness(neighbour: Neighbour) -> float:
    return neighbour.why.like.cosine if neighbour.why.like else 0.0


def _removed_elsewhere(answer: Answer, neighbours: set[str]) -> float:
    gains = -np.diff(answer.uncertainty)
    return float(sum(gain for pick, gain in zip(answer.picks, gains, strict=True) if pick.example.id not in neighbours))
