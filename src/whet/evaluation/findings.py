"""What the figures say, in words that are computed from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from whet.evaluation.language import Record
from whet.evaluation.summary import Row, summarise

_LOOP = ("embed", "cache", "search", "select", "train", "guard", "remember", "generate", "score")

_FEWEST = 6
"""Queries below which an interval says nothing: all five of five may well have moved one way by chance."""


def name(row: Row, *, several: bool) -> str:
    """A row's method, with its number of picks where there are several to tell apart."""
    return f"{row.method}, {row.picks} picks" if several and row.picks else row.method


def several_picks(rows: Iterable[Row]) -> bool:
    """Whether the rows hold more than one number of picks, that of the base aside."""
    return len({row.picks for row in rows if row.picks}) > 1


def phases(spent: Iterable[Mapping[str, float]]) -> list[str]:
    """The phases that seconds were spent in, in the order of the loop."""
    there = dict.fromkeys(phase for seconds in spent for phase in seconds)
    return [phase for phase in _LOOP if phase in there] + [phase for phase in there if phase not in _LOOP]


def difference(row: Row) -> str:
    """The mean paired difference to the base, with its interval."""
    if row.difference_ci95 is None:
        return f"{signed(row.difference)}"
    low, high = row.difference_ci95
    return f"{signed(row.difference)} ({signed(low)} to {signed(high)})"


def signed(value: float) -> str:
    """A number with its sign and three decimals."""
    return f"{value:+.3f}".replace("-", "−")


def verdicts(rows: Sequence[Row]) -> list[str]:
    """Sentences on which methods differ from the base, for rows of one domain and mode; fewer bits are better."""
    several = several_picks(rows)
    others = [row for row in rows if row.method != "base"]
    if not others:
        return ["Only the base model was measured."]
    sides: dict[str, list[str]] = {"better": [], "worse": [], "open": []}
    for row in sorted(others, key=lambda row: row.percent_of_base):
        sides[_side(row)].append(f"{name(row, several=several)} at {row.percent_of_base:.1f}%")
    openings = {
        "better": "Better than the base model, with the 95% interval of the paired difference below zero:",
        "worse": "Worse than the base model, with the interval above zero:",
        "open": f"Not to be told from the base model (zero in the interval, or fewer than {_FEWEST} queries):",
    }
    sentences = [f"{openings[side]} {_listed(names)}." for side, names in sides.items() if names]
    best = min(rows, key=lambda row: row.bits_per_byte)
    if best.method == "base":
        return [f"No method has fewer bits per byte than the base model ({best.bits_per_byte:.3f}).", *sentences]
    return [
        f"Fewest bits per byte: {name(best, several=several)} with {best.bits_per_byte:.3f}, "
        f"{best.percent_of_base:.1f}% of the base, over {best.queries} queries.",
        *sentences,
    ]


def against(records: Iterable[Record], ours: str, other: str) -> str:
    """A sentence on the paired difference between two methods that were measured at one number of picks, in one mode.

    Raises:
        StopIteration: one of them is not among the records.
    """
    both = [replace(r, picks=0) for r in records if r.method in (ours, other)]
    paired = summarise(replace(r, method="base") if r.method == other else r for r in both)
    row = next(row for row in paired if row.domain == "all" and row.method == ours)
    relation = {
        "better": "needs fewer bits per byte than",
        "worse": "needs more bits per byte than",
        "open": "cannot be told from",
    }[_side(row)]
    return f"{ours} {relation} {other}: paired difference {difference(row)} bits per byte over {row.queries} queries."


def _side(row: Row) -> str:
    if row.difference_ci95 is None or row.queries < _FEWEST:
        return "open"
    low, high = row.difference_ci95
    return "better" if high < 0 else "worse" if low > 0 else "open"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
