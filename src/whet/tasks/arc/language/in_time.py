"""Practice on a task and the search for its answers, within a time limit.

A pass cannot be ended half-way. So how long passes take is measured first, on few tokens and then on more, and none is
begun that is not expected to end in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from whet.programs.limits import Meter
from whet.tasks.arc.language.practice import PRACTICE, practise
from whet.tasks.arc.language.reading import Answering, Reading, prompts_of, read
from whet.tasks.arc.language.serialise import Serialisation
from whet.tasks.arc.task import ArcTask
from whet.tasks.arc.transduction.practice import Practice

if TYPE_CHECKING:
    from whet.adaptation.bank import AdapterBank
    from whet.models import LanguageModel

_PRACTISING = 0.5
"""Of the time, for practice at most."""
_BACKWARD = 3.0
"""Times of a forward pass that an update takes."""
_FIRST = 16
"""Tokens of the first pass that is measured."""


def practised_readings(
    model: LanguageModel,
    serialisation: Serialisation,
    bank: AdapterBank,
    task: ArcTask,
    how: Answering,
    meter: Meter,
    practice: Practice = PRACTICE,
) -> tuple[int, list[Reading]]:
    """How many steps of practice a task was given, and what was read then, of each test input.

    Where the time is not enough for one pass, nothing is read.

    Args:
        model: the language model.
        serialisation: how it reads tasks.
        bank: slots on that model; the first is trained.
        task: the task.
        how: in how many views candidates are searched for, and how far.
        meter: the time for all of it.
        practice: how the adapter is trained if there is time.

    Raises:
        InputError: a test input or a single pair is longer than the context.
        ModelError: the model's logits are not numbers.
    """
    prompt = max(prompts_of(model, serialisation, task), key=len)
    one = seconds_of_a_pass(model, prompt, meter)
    if one is None:
        return 0, []
    step = _BACKWARD * practice.episodes * one
    practising = Meter(_PRACTISING * meter.left() - step, meter.clock)
    steps = practise(model, serialisation, bank, [task], practice, practising)
    with bank.using(0):
        return steps, read(model, serialisation, task, how, Meter(meter.left() - one, meter.clock))


def seconds_of_a_pass(model: LanguageModel, ids: Sequence[int], meter: Meter) -> float | None:
    """Of a forward pass of all these tokens, or None if it is not expected to end in time.

    Passes of 16 tokens, 32, and so on are made up to that, each only if there is time for one that takes twice as long
    as the one before.
    """
    import torch

    tokens, took = _FIRST, 0.0
    while meter.left() > 2 * took:
        start = meter.clock()
        with torch.no_grad():
            output = model.module(torch.tensor([ids[:tokens]], device=model.device), use_cache=False, logits_to_keep=1)
        output.logits.cpu()  # waits until it is there
        took = meter.clock() - start
        if tokens >= len(ids):
            return took
        tokens *= 2
    return None
