"""What a query costs besides training and reading text: search, selection, tokens of the picks, a fresh adapter.

    python benchmarks/overhead.py

One thread, whet-base, a memory of chunks of the standard library's sources under synthetic embeddings of 384 numbers,
200 candidates, 20 picks of SIFT. Times are medians, and the least, in milliseconds of wall time; all parts take turns.
The floor of a search is the time that reading the vectors once takes, by the fastest of four ways, in the same turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from whet.config import EngineConfig
from whet.engine import Engine
from whet.memory import Memory, chunk_text
from whet.models import LanguageModel
from whet.types import Example

if TYPE_CHECKING:
    from whet.memory.base import Progress, Vectors

DIMENSION = 384


class Synthetic:
    """Vectors around 200 random centres, which have a common part as those of real texts do; the same for a text."""

    name = "synthetic"
    dimension = DIMENSION

    def __init__(self) -> None:
        draws = np.random.default_rng(0)
        self._centres = draws.standard_normal((200, DIMENSION)) + draws.standard_normal(DIMENSION)

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:  # noqa: ARG002
        """A centre and noise, drawn by the text."""
        rows = []
        for text in texts:
            draws = np.random.default_rng(int(Example(target=text).id, 16))
            rows.append(self._centres[draws.integers(200)] + draws.standard_normal(DIMENSION))
        found = np.array(rows)
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def texts(count: int) -> list[str]:
    """Different chunks of the standard library's sources; when they come to an end, again with a number before them."""
    chunks: list[str] = []
    for path in sorted(Path(os.__file__).parent.glob("*.py")):
        chunks += [chunk.text for chunk in chunk_text(path.read_text(errors="replace")) if chunk.text.strip()]
    return [f"# {i // len(chunks)}\n{chunks[i % len(chunks)]}" for i in range(count)]


def reads(vectors: Vectors) -> list[Callable[[], object]]:
    """Ways to read all vectors once."""
    query, half = vectors[0].copy(), len(vectors) // 2
    return [
        lambda: vectors @ query,
        lambda: vectors.max(),
        lambda: vectors.view(np.int64).max(),
        lambda: np.dot(vectors[:half].ravel(), vectors[half : 2 * half].ravel()),
    ]


def parts(engine: Engine, prompt: str) -> dict[str, Callable[[], object]]:
    """What is done for a query, by name; each part can be repeated."""
    from whet.adaptation import Trainer

    memory, config = engine.memory, engine.config
    vector = memory.embed([prompt])[0]
    candidates = memory.search(vector, config.candidates)
    picks = engine.pick(candidates, adaptive=False).examples
    trainer = Trainer(engine.model, engine.bank, config.train)
    return {
        "search": lambda: memory.search(vector, config.candidates),
        "select": lambda: engine.pick(candidates, adaptive=False),
        "tokens of the picks": lambda: [trainer.objective.lesson(engine.model, pick) for pick in picks],
        "fresh adapter": lambda: engine.bank.reset(0, seed=config.seed),
        "trainer, no examples": lambda: Trainer(engine.model, engine.bank, config.train).run({0: []}),
        "copy of the query?": lambda: Example(target=prompt).id in memory,
    }


def measure(ways: dict[str, Callable[[], object]], turns: int) -> dict[str, tuple[float, float]]:
    """Median and least wall time in ms of each, taking turns."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 2):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if turn >= 2:
                found[name].append(1e3 * (time.perf_counter() - began))
    return {name: (statistics.median(times), min(times)) for name, times in found.items()}


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 32_000], help="examples in the memory")
    parser.add_argument("--turns", type=int, default=50)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = LanguageModel.from_pretrained()
    everything = texts(max(args.sizes) + 1)
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            memory = Memory.create(Path(folder) / "memory.whet", embedder=Synthetic())
            memory.add(Example(target=text) for text in everything[:size])
            vectors = memory.vectors[1]
            engine = Engine(model, memory, EngineConfig())
            ours = parts(engine, everything[size])
            floors = {f"read {number}": way for number, way in enumerate(reads(vectors))}
            times = measure({**ours, **floors}, args.turns)
            memory.close()
        floor = min(times[name][1] for name in floors)
        rate = vectors.nbytes / floor / 1e6
        print(f"\n{size:,} examples: {vectors.nbytes / 1e6:.1f} MB of vectors, {rate:.1f} GB/s\n")
        print("| part | ms, median | least |\n|---|---|---|")
        for name in ours:
            print(f"| {name} | {times[name][0]:.2f} | {times[name][1]:.2f} |")
        print(f"| all | {sum(times[name][0] for name in ours):.2f} | {sum(times[name][1] for name in ours):.2f} |")
        print(f"| floor of the search | | {floor:.2f} |")


if __name__ == "__main__":
    main()
