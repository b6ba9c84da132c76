"""The demo: three acts on text that every Python has, one on tasks of ARC, and a report."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from whet.config import EngineConfig
from whet.engine import Engine
from whet.evaluation.demo.comparison import MODE, Comparison, compare
from whet.evaluation.demo.data import (
    CODE,
    HELP,
    DemoSize,
    demo_queries,
    from_the_middle,
    growing_prompts,
    long_lines,
    memory_examples,
    place_of,
)
from whet.evaluation.demo.inside import Inside, look_inside
from whet.evaluation.demo.puzzles import Puzzles, solve_puzzles
from whet.evaluation.demo.report import demo_report
from whet.evaluation.demo.reuse import Reuse, reuse_adapters
from whet.evaluation.files import write_atomically
from whet.memory import Memory
from whet.models import LanguageModel
from whet.tasks import MODES
from whet.types import Example

Counting = Callable[[str, str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows progress: told what is done, in what unit and how many there are, it gives what is told how many are done."""


@dataclass(frozen=True)
class Opening:
    """What the demo stands on: how much is in the memory, and what is asked.

    Attributes:
        model: its name.
        examples, characters: of the memory.
        queries: texts that are asked about, from this many held-out `modules` and `topics`.
    """

    model: str
    examples: int
    characters: int
    queries: int
    modules: int
    topics: int


Act = Opening | Comparison | Inside | Reuse | Puzzles


def run_demo(
    out: Path,
    *,
    model: str,
    workers: int,
    counting: Counting,
    show: Callable[[Act], None],
    size: DemoSize | None = None,
) -> Path:
    """Run the acts, show each as soon as it is known, and write `report.html` and `results.json`.

    The memory in `out` is brought to what it should hold: a second run embeds nothing, an interrupted one goes on.

    Args:
        out: folder for the memory, the log, the report and the results.
        model: name or path of the model.
        workers: processes of the first and the last act, and threads of everything else.
        counting: shows progress.
        show: is given each act when it has been played.
        size: how much is done; everything unless told otherwise.

    Returns:
        The path of the report.

    Raises:
        ModelError: the model cannot be loaded.
        StoreError: `out` cannot be written.
        InputError, MissingExtraError: this Python lacks the texts.
    """
    import torch

    began = time.perf_counter()
    size = size or DemoSize()
    torch.set_num_threads(workers)
    config = EngineConfig(picks=size.picks, candidates=size.candidates)
    wanted = memory_examples(size)
    known = frozenset(long_lines(example.text for example in wanted))
    texts, unions = demo_queries(size, known)
    pairs = growing_prompts(size, known)
    language_model = LanguageModel.from_pretrained(model)
    with _memory(out / "memory.whet", wanted, counting) as memory:
        opening = Opening(
            model=model,
            examples=len(memory),
            characters=sum(len(example.text) for example in memory),
            queries=len(texts),
            modules=len(unions[CODE]),
            topics=sum(text.group == HELP for text in texts),
        )
        show(opening)
        engine = Engine(language_model, memory, config)
        with counting("comparing", "queries", len(texts)) as progress:
            comparison = compare(engine, texts, unions, logs=out, workers=workers, progress=progress)
        show(comparison)
        ordered = {place_of(text): MODES[MODE](text.text) for text in from_the_middle(texts, unions[CODE])}
        inside = look_inside(engine, ordered, tokens=size.tokens)
        show(inside)
        with counting("reusing", "pairs of queries", len(pairs)) as progress:
            reuse = reuse_adapters(engine, pairs, tokens=size.tokens, progress=progress)
        show(reuse)
    with counting("solving", "tasks", len(size.arc_tasks)) as progress:
        puzzles = solve_puzzles(size, logs=out, workers=workers, progress=progress)
    show(puzzles)
    described = {
        "seconds": round(time.perf_counter() - began, 1),
        "fingerprint": language_model.fingerprint,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "workers": workers,
        **asdict(opening),
        "engine": asdict(config),
        "size": asdict(size),
    }
    results = {
        "config": described,
        "language": asdict(comparison),
        "inside": asdict(inside),
        "reuse": asdict(reuse),
        "arc": puzzles.as_json(),
    }
    write_atomically(out / "results.json", json.dumps(results, indent=1))
    demo_report(out / "report.html", comparison, inside, reuse, puzzles, described)
    return out / "report.html"


def _memory(folder: Path, wanted: Sequence[Example], counting: Counting) -> Memory:
    """The memory, holding exactly the examples that the demo wants."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    memory = Memory.create(folder)
    memory.remove(set(memory.vectors[0]) - {example.id for example in wanted})
    with counting("embedding", "chunks", len(wanted)) as progress:
        memory.add(wanted, progress=progress)
    return memory
