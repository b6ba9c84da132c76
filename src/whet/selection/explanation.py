"""The words in which a selection is explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

REDUNDANT = 0.5
"""Share of what a candidate tells alone from which on, when the picks have taken it, it is redundant."""

Reason = Literal["excluded", "missed", "redundant", "less informative"]


@dataclass(frozen=True)
class Alike:
    """A candidate that another one resembles.

    Attributes:
        row: of the candidates.
        cosine: between the two.
        pick: its first place among the picks, from 1; None if it was not picked.
        rank: its place among the nearest neighbours that were looked at, from 1; None if it is none of them.
    """

    row: int
    cosine: float
    pick: int | None
    rank: int | None

    @property
    def words(self) -> str:
        """What it is called: a pick, or else a neighbour, and its number."""
        return f"pick {self.pick}" if self.pick else f"neighbour {self.rank}"


@dataclass(frozen=True)
class Picked:
    """A pick. Gains and variances are shares of the query's prior variance.

    Attributes:
        row: of the candidates.
        cosine: to the query; with several query rows the mean of those to them.
        gain: by how much it lowers the variance in its turn.
        variance: what is left after it.
        alone: its gain had it been the first pick.
        taken: 1 − gain / alone, the share of that which the earlier picks had taken; negative where they made it tell
            more, 0 where it tells nothing alone.
        before: how many times it had been picked already.
        like: the earlier pick of largest |cosine|, the first one of equal ones; None for the first pick.
    """

    row: int
    cosine: float
    gain: float
    variance: float
    alone: float
    taken: float
    before: int
    like: Alike | None


@dataclass(frozen=True)
class PassedOver:
    """A nearest neighbour that was not picked. Gains are shares of the query's prior variance.

    Attributes:
        row: of the candidates.
        rank: its place among the nearest neighbours, from 1.
        cosine: to the query; with several query rows the mean of those to them.
        gain: by how much it would lower the variance after all picks.
        alone: its gain had it been the first pick.
        taken: 1 − gain / alone, the share of that which the picks have taken; see `Picked`.
        like: the pick or nearer neighbour of largest |cosine|; None if there is none.
        pick: place of the pick of largest |cosine|, from 1; None without picks.
        reason: the first of these that holds.

            - `excluded`: the constraints forbid it, from the beginning or after the picks.
            - `missed`: it would tell more, per cost, than the last pick did; a greedy choice of what tells most leaves
              such a candidate only where picks made it more informative.
            - `redundant`: `taken` is at least `REDUNDANT`.
            - `less informative`: it never told as much as what was picked.
    """

    row: int
    rank: int
    cosine: float
    gain: float
    alone: float
    taken: float
    like: Alike | None
    pick: int | None
    reason: Reason

    @property
    def words(self) -> str:
        """The reason, and the pick that it is about."""
        return f"redundant with pick {self.pick}" if self.reason == "redundant" else self.reason


@dataclass(frozen=True)
class Explanation:
    """Why a selection came out as it did.

    Attributes:
        picks: in order.
        passed_over: of the nearest neighbours those that were not picked, the nearest first.
    """

    picks: tuple[Picked, ...]
    passed_over: tuple[PassedOver, ...]
