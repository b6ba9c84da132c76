"""The default threshold: chosen on one half of the topics by a rule, and looked at on queries without a part in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from adapter_stream_report import Mask, Outcome
from numpy.typing import NDArray
from selection_theory_statistics import Row

LEAST_KEPT = 95.0
"""Per cent of the gain of always training that a threshold must keep."""
SURELY_KEPT = 90.0
"""Where the 95 % interval of that must not begin below."""


def choose(outcomes: Mapping[float, Outcome], elsewhere: Callable[[float], Outcome]) -> Row:
    """The smallest threshold from which on all keep enough on every second topic; whether it does on the other topics.

    Then the same with both halves to choose on, and another stream to look at.

    Args:
        outcomes: of the whole stream, by threshold.
        elsewhere: the outcome of the other stream.
    """
    first = every_second(next(iter(outcomes.values())).topics)
    rows: list[Row] = [
        {"threshold": t, "choosing": found.half(first), "confirming": found.half(~first)}
        for t, found in sorted(outcomes.items())
    ]
    on_one, on_both = _smallest(rows, ["choosing"]), _smallest(rows, ["choosing", "confirming"])
    result: Row = {"least kept": LEAST_KEPT, "surely kept": SURELY_KEPT, "rows": rows}
    if on_one is not None:
        result["chosen on one half"] = {"threshold": on_one["threshold"], "confirmed": _enough(on_one["confirming"])}
    if on_both is not None:
        other = elsewhere(on_both["threshold"])
        found = other.half(np.ones(len(other.topics), bool))
        result["chosen on both halves"] = {
            "threshold": on_both["threshold"],
            "elsewhere": found,
            "confirmed": _enough(found),
        }
    return result


def every_second(topics: NDArray[np.str_]) -> Mask:
    """Which queries are of the first, third, fifth, … topic by name."""
    return np.isin(topics, np.unique(topics)[::2])


def _smallest(rows: Sequence[Row], parts: Sequence[str]) -> Row | None:
    """The row of the smallest threshold from which on all keep enough in all of these parts."""
    chosen = None
    for row in reversed(rows):
        if not all(_enough(row[part]) for part in parts):
            break
        chosen = row
    return chosen


def _enough(half: Row) -> bool:
    kept = half["gain kept"]
    return bool(kept["value"] >= LEAST_KEPT and kept["ci95"][0] >= SURELY_KEPT)
