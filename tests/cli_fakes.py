"""For the tests of the command line: an answer, and an engine that only notes what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from typer.testing import Result

from whet.config import EngineConfig
from whet.control import Budget
from whet.decoding import Sampling
from whet.memory import Memory
from whet.types import Answer, Cost, Example, GuardReport, Pick, Plan

Whet = Callable[..., Result]

TEXTS = tuple(f"def area_{i}(width, height):\n    return width * height * {i}\n" for i in range(12))


def some_answer(prompt: str = "def area(") -> Answer:
    """An answer with one pick, as an engine would give it."""
    return Answer(
        text=f"{prompt} and so on",
        picks=(Pick(Example(TEXTS[0], meta={"path": "shapes.py", "line": 3}), 0.875, 0.25),),
        uncertainty=(1.0, 0.25),
        plan=Plan("adapt", 1, 1, "all 1 steps that were asked for"),
        cost=Cost({"train": 1.25, "generate": 0.5}, {"train": 1200, "generated": 8}, 1.5e9),
        guard=GuardReport("skipped", None, None, "no pick could be held out"),
        notes=("something to know",),
    )


@dataclass
class FakeEngine:
    """Stands in for the engine and its `from_pretrained`, and notes their arguments."""

    model: str = ""
    config: EngineConfig | None = None
    asked: list[tuple[str, Budget, Sampling]] = field(default_factory=list)

    def from_pretrained(self, name: str, *, memory: Memory, config: EngineConfig) -> FakeEngine:
        assert len(memory)
        self.model, self.config = name, config
        return self

    def answer(self, prompt: str, *, budget: Budget, sampling: Sampling) -> Answer:
        self.asked.append((prompt, budget, sampling))
        return some_answer(prompt)
