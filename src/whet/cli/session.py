"""The engine behind `whet ask` and `whet run`, made from their options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from whet.cli.options import read_config
from whet.cli.progress import working

if TYPE_CHECKING:
    from whet.types import Answer


@contextmanager
def answering(
    *,
    memory: Path,
    model: str,
    config: Path | None,
    picks: int,
    selector: str,
    noise: float,
    alpha: float | None,
    fresh: bool,
    no_guard: bool,
    seconds: float | None,
    steps: int | None,
    max_tokens: int,
    temperature: float,
    top_p: float,
    stop: list[str],
    seed: int,
) -> Iterator[Callable[[str], Answer]]:
    """Open the memory, load the model, and give what answers a prompt; the options are checked before.

    Raises:
        InputError: an option is out of range.
        StoreError: there is no memory.
        ModelError: the model cannot be loaded.
    """
    from whet.control import Budget
    from whet.decoding import Sampling
    from whet.engine import Engine
    from whet.memory import Memory

    base = read_config(config)
    settings = replace(
        base,
        selector=selector,
        noise=noise,
        picks=picks,
        alpha=alpha,
        guard=not no_guard,
        reuse=None if fresh else base.reuse,
        warm=None if fresh else base.warm,
        seed=seed,
    )
    budget = Budget(seconds=seconds, steps=steps)
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, top_p=top_p, stop=tuple(stop), seed=seed)
    with Memory.open(memory) as opened:
        with working(f"loading {model}"):
            engine = Engine.from_pretrained(model, memory=opened, config=settings)
        yield lambda prompt: engine.answer(prompt, budget=budget, sampling=sampling)
