"""The words of whet as small frozen dataclasses: what goes round the loop. No behaviour lives here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Example:
    """Something to learn from.

    Attributes:
        target: the text to learn; for plain text, all of it.
        input: what precedes the target, such as a question; empty for plain text.
        meta: where it came from and whatever else its record said; takes no part in its identity.
    """

    target: str
    input: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def text(self) -> str:
        """Input and target as the model reads them."""
        return self.input + self.target

    @cached_property
    def id(self) -> str:
        """Content hash (32 hex digits): equal content has equal ids, whatever its meta says."""
        content = f"{len(self.input)}:{self.input}{self.target}"
        return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Query:
    """Something to answer.

    Attributes:
        text: what the memory is searched with.
        given: what the answer follows, as the model reads it; usually the same as `text`.
        target: the text whose likelihood after `given` is asked for; None asks for a generated answer.
    """

    text: str
    given: str
    target: str | None = None


@dataclass(frozen=True)
class Pick:
    """An example chosen for a query.

    Attributes:
        example: the example.
        similarity: cosine between its embedding and the query's.
        variance: posterior variance of the query after this pick, as a share of the prior variance (1 before any).
    """

    example: Example
    similarity: float
    variance: float


@dataclass(frozen=True)
class Plan:
    """What control decided for a query.

    Attributes:
        rung: `base`, `reuse` or `adapt`: the step of the ladder of compute that was taken.
        picks: how many examples were chosen to learn from.
        steps: how many gradient steps were taken.
        reason: why this many and not more, in words.
    """

    rung: str
    picks: int
    steps: int
    reason: str


@dataclass(frozen=True)
class Cost:
    """What was really spent on a query.

    Attributes:
        seconds: wall-clock seconds by phase (`embed`, `search`, `select`, `train`, `guard`, `generate`, `score`, …).
        tokens: tokens by use (`train`, `guard`, `prompt`, `generated`, `score`).
        flops: floating-point operations of the language model, estimated from its shape.
    """

    seconds: Mapping[str, float]
    tokens: Mapping[str, int]
    flops: float


@dataclass(frozen=True)
class GuardReport:
    """Whether the adapter was found to help.

    Attributes:
        status: `kept`, `stepped_back` (to an earlier state of the adapter), `rolled_back` (to the base model) or
            `skipped` (nothing was trained, or the guard is turned off).
        before: loss of the base model in bits per byte on what the adapter is judged by: the prompt, or the last picks
            where the prompt is short; None when skipped or when there is neither.
        after: loss of the adapted model on it.
        reason: the finding in words.
        step: steps that the adapter had taken in the state that answers; 0 for the base model, and for an adapter that
            was made before.
        gain: lower confidence bound of the share by which that loss fell.
        canary: share by which the loss on general text rose.
        safety: rise of the mean loss on the private examples in nats a token; None if there are none.
        kl: KL divergence from the base model's predictions at the end of the prompt, in nats a token.
        tokens: tokens that were read to find this.
    """

    status: str
    before: float | None
    after: float | None
    reason: str
    step: int = 0
    gain: float | None = None
    canary: float | None = None
    safety: float | None = None
    kl: float | None = None
    tokens: int = 0


@dataclass(frozen=True)
class Answer:
    """The answer to a query, with everything that led to it.

    Attributes:
        text: the generated continuation.
        picks: the examples that were learnt from, in order.
        uncertainty: posterior variance at the query before any pick and after each: `1 + len(picks)` numbers.
        plan: what control decided.
        cost: what was spent.
        guard: whether the adapter was kept.
        losses: training loss of each step before it was taken, in bits per byte of its pick.
        adapter_id: the adapter in the cache that was made or reused; None if there is none.
        notes: things that the reader should know, such as a copy of the query in the memory.
    """

    text: str
    picks: tuple[Pick, ...]
    uncertainty: tuple[float, ...]
    plan: Plan
    cost: Cost
    guard: GuardReport
    losses: tuple[float, ...] = ()
    adapter_id: str | None = None
    notes: tuple[str, ...] = ()
