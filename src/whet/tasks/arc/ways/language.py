"""The answers of a language model that practised on the task."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from whet.errors import InputError, ModelError
from whet.programs.limits import Meter
from whet.tasks.arc.confidence import AGREED
from whet.tasks.arc.grids import Grid
from whet.tasks.arc.leave_out import leave_out
from whet.tasks.arc.submission import NO_ATTEMPT
from whet.tasks.arc.task import ArcTask
from whet.tasks.arc.ways.candidate import Candidate, Findings
from whet.tasks.arc.ways.settings import Settings

if TYPE_CHECKING:
    from whet.adaptation.bank import AdapterBank
    from whet.models import LanguageModel
    from whet.tasks.arc.language import ModelChoice, Reading, Serialisation


def language(task: ArcTask, settings: Settings, meter: Meter) -> Iterator[Findings]:
    """At most two answers, once; none where a grid is longer than the context, or the adapter has diverged.

    Raises:
        InputError: no model is named.
        ModelError: it cannot be loaded.
    """
    from whet.tasks.arc.language import Answering
    from whet.tasks.arc.language.in_time import practised_readings

    if settings.model is None:
        raise InputError("the way 'language' needs a model; give Settings(model=choose(name)).")
    model, serialisation, bank = _loaded(settings.model)
    try:
        how = Answering(views=settings.views)
        steps, readings = practised_readings(model, serialisation, bank, task, how, meter)
    except (InputError, ModelError) as error:  # of this task alone: what other ways found stays
        yield Findings((), str(error).rstrip("."))
        return
    note = leave_out(task).reason if readings else "the time was not enough for one pass of the language model"
    yield Findings(_candidates(readings, f"language model, {steps} steps of practice"), note)


def _candidates(readings: list[Reading], found: str) -> list[Candidate]:
    tried = [_likeliest(reading) for reading in readings]
    return [
        _candidate(readings, [grids[min(rank, len(grids) - 1)] if grids else NO_ATTEMPT for grids in tried], found)
        for rank in range(max(map(len, tried), default=0))
    ]


def _candidate(readings: list[Reading], outputs: list[Grid], found: str) -> Candidate:
    votes = tuple(reading.votes(grid) for reading, grid in zip(readings, outputs, strict=True))
    views = len(readings[0].best)
    return Candidate(tuple(outputs), tuple(AGREED * count / views for count in votes), found, votes=votes, views=views)


def _likeliest(reading: Reading) -> list[Grid]:
    """The two grids with the most votes; of those with as many, the ones that are likeliest over all views."""
    scored = zip(reading.candidates, reading.scores, strict=True)
    ranked = sorted(scored, key=lambda one: (-reading.votes(one[0]), -sum(one[1])))
    return [grid for grid, _ in ranked[:2]]


@lru_cache(maxsize=1)
def _loaded(choice: ModelChoice) -> tuple[LanguageModel, Serialisation, AdapterBank]:
    """The last model, which all tasks of a process share, and a slot on it."""
    import torch

    from whet.adaptation.bank import AdapterBank
    from whet.models import LanguageModel
    from whet.tasks.arc.language import SERIALISATIONS
    from whet.tasks.arc.language.answer import FORM

    torch.set_num_threads(1)  # processes are how several cores are used
    model = LanguageModel.from_pretrained(choice.name)
    return model, SERIALISATIONS[choice.serialisation](model.tokenizer), AdapterBank(model.module, FORM)
