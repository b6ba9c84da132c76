"""Bits per byte of held-out text for the base model and for each way to use a memory, query by query.

Every method gets the same query, the same number of candidates and, where it trains, the same number of gradient
steps at the same learning rate. Scores at several numbers of picks come from one training run: the picks of a
smaller number are the first of a larger one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from whet.adaptation import Trainer
from whet.control import Meter
from whet.decoding import score_text
from whet.engine import Engine, Picked
from whet.errors import InputError
from whet.memory import Candidates, chunk_text
from whet.selection import Nearest, Random, Repeat, Selector, Sift
from whet.tasks import MODES
from whet.types import Example, Query

METHODS = ("base", "context", "random", "nearest", "repeat", "sift")


@dataclass(frozen=True)
class Settings:
    """What is compared.

    Attributes:
        methods: `base`; `context`: the picks of SIFT (at the first noise) in the prompt, as many as fit; `random`,
            `nearest`, `repeat` (the nearest again and again) and `sift`: an adapter trained on the picks.
        picks: numbers of picks to score at.
        noise: values of λ for SIFT.
        modes: how a text becomes a query, names of `whet.tasks.MODES`.
        seed: of the random draws and of the adapters' first weights.
    """

    methods: tuple[str, ...] = ("base", "context", "random", "nearest", "sift")
    picks: tuple[int, ...] = (50,)
    noise: tuple[float, ...] = (0.1,)
    modes: tuple[str, ...] = ("whole", "halves")
    seed: int = 0

    def __post_init__(self) -> None:
        for name, given, known in (("methods", self.methods, METHODS), ("modes", self.modes, tuple(MODES))):
            unknown = [value for value in given if value not in known]
            if unknown or not given:
                raise InputError(f"{name}={','.join(given)!r}: give some of {', '.join(known)}.")
        if not self.picks or min(self.picks) < 1:
            raise InputError(f"picks={self.picks}: give numbers of at least 1.")


@dataclass(frozen=True)
class Text:
    """A held-out text: its id (hexadecimal), the group that it is reported under, and its content."""

    id: str
    group: str
    text: str


@dataclass(frozen=True)
class Record:
    """One measurement: a query scored by a method at a number of picks.

    Attributes:
        id, group: of the query.
        mode, method: `method` carries its λ where it has one, such as `sift(0.1)`.
        picks: how many examples were used; 0 for the base model.
        bits_per_byte: of the scored text.
        variance: posterior variance at the query after these picks, as a share of the prior; None for the base.
        seconds: wall-clock seconds by phase.
    """

    id: str
    group: str
    mode: str
    method: str
    picks: int
    bits_per_byte: float
    variance: float | None
    seconds: dict[str, float] = field(default_factory=dict)


def measure(engine: Engine, text: Text, settings: Settings) -> Iterator[Record]:
    """Score one held-out text by every method in every mode.

    Examples of the memory whose content is that of the text, or of one of its chunks, are excluded.

    Raises:
        EmptyMemoryError: the memory holds nothing else.
        InputError: more picks are asked for than there are candidates.
    """
    copies = {Example(target=part).id for part in (text.text, *(chunk.text for chunk in chunk_text(text.text)))}
    for mode in settings.modes:
        query = MODES[mode](text.text)
        yield from _Measurement(engine, text, mode, query, copies, settings).records()


class _Measurement:
    """One query in one mode; what several methods need is made once and its seconds count for each of them."""

    def __init__(
        self, engine: Engine, text: Text, mode: str, query: Query, copies: set[str], settings: Settings
    ) -> None:
        self.engine, self.text, self.mode, self.query, self.settings = engine, text, mode, query, settings
        self.most = max(settings.picks)
        k = engine.config.candidates
        meter = Meter()
        with meter.phase("embed"):
            vector = engine.memory.embed([query.text])[0]
        embedded = dict(meter.cost().seconds)
        with meter.phase("search"):
            self.near = engine.memory.search(vector, k, exclude=copies)
        self.near_seconds = dict(meter.cost().seconds)
        draw = int(np.random.default_rng((settings.seed, int(text.id, 16))).integers(2**31))
        self.anywhere = engine.memory.sample(k, draw, query=vector, exclude=copies)
        self.anywhere_seconds = embedded
        self.draw = draw

    def records(self) -> Iterator[Record]:
        for method in self.settings.methods:
            if method == "base":
                meter = Meter()
                yield self._record("base", 0, None, self._score(meter), meter.cost().seconds)
            elif method == "context":
                yield from self._in_context()
            elif method == "sift":
                for noise in self.settings.noise:
                    yield from self._trained(f"sift({noise:g})", Sift(noise), self.near, self.near_seconds)
            elif method == "random":
                yield from self._trained("random", Random(seed=self.draw), self.anywhere, self.anywhere_seconds)
            else:
                selector: Selector = Nearest() if method == "nearest" else Repeat()
                yield from self._trained(method, selector, self.near, self.near_seconds)

    def _trained(
        self, name: str, selector: Selector, candidates: Candidates, shared: Mapping[str, float]
    ) -> Iterator[Record]:
        """Train on the picks in order, and score after each of the asked-for numbers of them."""
        meter, engine = Meter(), self.engine
        with meter.phase("select"):
            picked = engine.pick(candidates, n=self.most, selector=selector, adaptive=False)
        bank = engine.bank
        bank.reset(0, seed=self.settings.seed)
        trainer = Trainer(engine.model, bank, engine.config.train)
        done = 0
        for n in sorted(self.settings.picks):
            with meter.phase("train"):
                trainer.run({0: picked.examples[done:n]})
            done = n
            scoring = Meter()
            with bank.using(0):
                score = self._score(scoring)
            seconds = {**shared, **meter.cost().seconds, **scoring.cost().seconds}
            yield self._record(name, n, float(picked.choice.variances[n]), score, seconds)

    def _in_context(self) -> Iterator[Record]:
        noise = self.settings.noise[0]
        meter = Meter()
        with meter.phase("select"):
            picked = self.engine.pick(self.near, n=self.most, selector=Sift(noise), adaptive=False)
        for n in sorted(self.settings.picks):
            scoring = Meter()
            score = self._score(scoring, examples=_prompt(picked, n))
            seconds = {**self.near_seconds, **meter.cost().seconds, **scoring.cost().seconds}
            yield self._record(f"context({noise:g})", n, float(picked.choice.variances[n]), score, seconds)

    def _score(self, meter: Meter, *, examples: str = "") -> float:
        assert self.query.target is not None
        with meter.phase("score"):
            return score_text(self.engine.model, self.query.target, given=examples + self.query.given).bits_per_byte

    def _record(
        self, method: str, picks: int, variance: float | None, bits: float, seconds: Mapping[str, float]
    ) -> Record:
        return Record(self.text.id, self.text.group, self.mode, method, picks, bits, variance, dict(seconds))


def _prompt(picked: Picked, n: int) -> str:
    """The first `n` picks without repeats, the first pick last: next to what is scored, where it is cut last."""
    unique = dict.fromkeys(example.text for example in picked.examples[:n])
    return "".join(f"{text}\n\n" for text in reversed(unique))
