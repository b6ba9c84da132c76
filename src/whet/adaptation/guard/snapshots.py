"""Copies of adapters as they were after some of their steps, in other slots of the bank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whet.adaptation.bank import AdapterBank
    from whet.adaptation.trainer import Trace


class Snapshots:
    """Given to the trainer as its `leave`, copies a slot when it has taken the right numbers of steps; ends nothing.

    Args:
        bank: the slots.
        places: for each slot that is trained the numbers of steps, and for each the slot that the copy goes to.
    """

    def __init__(self, bank: AdapterBank, places: Mapping[int, Mapping[int, int]]) -> None:
        self.bank = bank
        self.places = places
        self._taken: dict[int, dict[int, int]] = {slot: {} for slot in places}

    def __call__(self, slot: int, trace: Trace) -> bool:
        """Copy the slot if it is time."""
        place = self.places.get(slot, {}).get(trace.steps)
        if place is not None and not trace.failed:
            self.bank.weights[place] = self.bank.weights[slot]  # whatever they are; the guard will see
            self._taken[slot][trace.steps] = place
        return False

    def taken(self, slot: int) -> dict[int, int]:
        """The copies of a slot that were made: numbers of steps, and where each is."""
        return dict(self._taken.get(slot, {}))
