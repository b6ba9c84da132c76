"""Answering tasks with a language model: practice, views, a search in each, a vote."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from whet.adaptation.forms import LoraConfig
from whet.decoding.votes import by_score, hierarchical, majority
from whet.errors import InputError
from whet.tasks.arc.grids import Grid
from whet.tasks.arc.language.practice import PRACTICE, practise
from whet.tasks.arc.language.reading import Answering, Reading, read
from whet.tasks.arc.language.serialise import Serialisation
from whet.tasks.arc.results import TaskResult
from whet.tasks.arc.submission import attempts
from whet.tasks.arc.task import ArcTask
from whet.tasks.arc.transduction.practice import Practice

if TYPE_CHECKING:
    from whet.adaptation.forms import Form
    from whet.models import LanguageModel

FORM = LoraConfig(r=16, lora_alpha=32.0)
"""What an adapter is where nothing else is said."""


def flat(reading: Reading) -> list[Grid]:
    """The two most frequent of the likeliest grids of the views."""
    return majority(grid for grid in reading.best if grid is not None)


def by_symmetry(reading: Reading) -> list[Grid]:
    """The hierarchical vote on the likeliest grids of the views (Akyürek et al. 2024, arXiv 2411.07279).

    The views of one symmetry are a group.
    """
    groups: dict[str, list[Grid]] = {}
    for symmetry, grid in zip(reading.symmetries, reading.best, strict=True):
        groups.setdefault(symmetry, []).extend([] if grid is None else [grid])
    return hierarchical(groups)


def product(reading: Reading) -> list[Grid]:
    """The two candidates with the largest sum of log probabilities over all views.

    Source: Franzen et al. 2025, arXiv 2505.07859.
    """
    scored = zip(reading.candidates, reading.scores, strict=True)
    return by_score((grid, value) for grid, values in scored for value in values)


VOTES: Mapping[str, Callable[[Reading], list[Grid]]] = {
    "flat": flat,
    "hierarchical": by_symmetry,
    "product": product,
}
"""All by name."""


def answer(
    model: LanguageModel,
    serialisation: Serialisation,
    task: ArcTask,
    how: Answering | None = None,
    *,
    vote: str = "product",
) -> TaskResult:
    """Two attempts at each test input of a task by the model as it is, with an adapter or without.

    Args:
        model: the language model.
        serialisation: how it reads tasks.
        task: the task.
        how: in how many views candidates are searched for, and how far; `Answering()` if not given.
        vote: how two attempts are made of the candidates, one of `VOTES`.

    Raises:
        InputError: there is no such vote, or a test input is longer than the context.
    """
    if vote not in VOTES:
        raise InputError(f"vote={vote!r} is none of {', '.join(VOTES)}; name one of them.")
    begin = time.monotonic()
    readings = read(model, serialisation, task, how or Answering())
    return TaskResult(
        task.id,
        tuple(attempts(*VOTES[vote](reading)) for reading in readings),
        {
            "seconds": round(time.monotonic() - begin, 3),
            "counts": [len(reading.candidates) for reading in readings],
            "complete": all(reading.complete for reading in readings),
        },
    )


def answer_practised(
    model: LanguageModel,
    serialisation: Serialisation,
    tasks: Sequence[ArcTask],
    practice: Practice = PRACTICE,
    how: Answering | None = None,
    *,
    vote: str = "product",
    form: Form = FORM,
    together: int = 4,
) -> Iterator[TaskResult]:
    """Answer tasks, each with an adapter that was trained on its demonstrations; see `practise` and `answer`.

    Args:
        model: the language model; its weights are left as they are.
        serialisation: how it reads tasks.
        tasks: the tasks.
        practice: how an adapter is trained.
        how: as in `answer`.
        vote: as in `answer`.
        form: what an adapter is.
        together: how many tasks practise in the same passes.

    Raises:
        InputError: as in `practise` and `answer`.
    """
    from whet.adaptation.bank import AdapterBank

    bank = AdapterBank(model.module, form, slots=together)
    for start in range(0, len(tasks), together):
        part = tasks[start : start + together]
        practise(model, serialisation, bank, part, practice)
        for slot, task in enumerate(part):
            with bank.using(slot):
                result = answer(model, serialisation, task, how, vote=vote)
            yield result
