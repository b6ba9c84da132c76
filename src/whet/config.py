"""How the loop is run: the one place where its settings and their defaults stand."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from whet.adaptation import LoraConfig, TrainConfig
from whet.errors import InputError
from whet.selection import SELECTORS


@dataclass(frozen=True)
class EngineConfig:
    """How the loop is run.

    Attributes:
        selector: name of the selector, one of `whet.selection.SELECTORS`.
        noise: λ of the surrogate: small asks for diversity, large for nearness.
        picks: the most examples to choose for a query.
        candidates: how many examples the memory proposes for a query.
        alpha: with a number, selection stops early by the adaptive rule of SIFT; None takes all picks.
        lora: shape of the adapter.
        train: how it is trained.
        guard: hold one pick out and roll back when its loss rises.
        reuse: cosine of two queries from which on the adapter of the one serves the other; None trains always
            and remembers nothing.
        warm: cosine from which on training starts from the adapter of the other query; None always starts afresh.
        merge: how many of the nearest adapters are merged, by kernel weights, where one would be reused.
        seed: fixes the first weights of the adapter and every other draw.
    """

    selector: str = "sift"
    noise: float = 0.1
    picks: int = 20
    candidates: int = 200
    alpha: float | None = None
    lora: LoraConfig = field(default_factory=LoraConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    guard: bool = True
    reuse: float | None = 0.95
    warm: float | None = None
    merge: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.selector not in SELECTORS:
            raise InputError(f"selector={self.selector!r}: give one of {', '.join(sorted(SELECTORS))}.")
        if self.picks < 1 or self.candidates < 1:
            raise InputError(f"picks={self.picks}, candidates={self.candidates}: both are at least 1.")
        if self.reuse is not None and not 0 < self.reuse <= 1:
            raise InputError(f"reuse={self.reuse}: give a cosine above 0 and up to 1, or None to always train.")

        if self.warm is not None and not (self.reuse is not None and 0 < self.warm <= self.reuse):
            raise InputError(f"warm={self.warm}: give a cosine above 0 and up to reuse={self.reuse}, or None.")
        if self.merge < 1:
            raise InputError(f"merge={self.merge}: merge at least 1 adapter.")

    def recipe(self) -> dict[str, Any]:
        """What decides how an adapter comes out, besides the query and the memory; plain values, as JSON gives them."""
        targets = self.lora.target_modules
        return {
            "selector": self.selector,
            "noise": self.noise,
            "picks": self.picks,
            "candidates": self.candidates,
            "alpha": self.alpha,
            "lora": {**asdict(self.lora), "target_modules": targets if isinstance(targets, str) else list(targets)},
            "train": asdict(self.train),
            "seed": self.seed,
        }
