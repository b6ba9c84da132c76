"""A guard by one held-out pick alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Objective, lesson_bits
from whet.types import Example, GuardReport

if TYPE_CHECKING:
    from whet.adaptation.bank import AdapterBank
    from whet.models import LanguageModel


def hold_out(examples: Sequence[Example]) -> tuple[list[Example], Example | None]:
    """Split picks into those to train on and one to check with.

    The last pick that occurs only once is held out: it is about the query like all picks, and least missed. With
    fewer than two different picks nothing can be held out.
    """
    times = Counter(example.id for example in examples)
    once = [example for example in examples if times[example.id] == 1]
    if len(times) < 2 or not once:
        return list(examples), None
    return [example for example in examples if example is not once[-1]], once[-1]


def check(model: LanguageModel, bank: AdapterBank, slot: int, held_out: Example, objective: Objective) -> GuardReport:
    """Compare the loss on the held-out pick with and without the adapter; `rolled_back` if it rose or is not finite."""
    part = objective.lesson(model, held_out)
    before = lesson_bits(model, objective, part)
    with bank.using(slot):
        after = lesson_bits(model, objective, part)
    kept = after <= before  # false for NaN as well
    return GuardReport(
        status="kept" if kept else "rolled_back",
        before=before,
        after=after,
        reason=f"loss on a held-out pick went from {before:.3f} to {after:.3f} bits per byte",
    )
