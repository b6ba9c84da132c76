"""From single measurements to a table: means, per cent of the base model, and bootstrap intervals over queries."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from whet.evaluation.files import write_atomically
from whet.evaluation.language import Record

RESAMPLES = 2000


@dataclass(frozen=True)
class Row:
    """A method on a group of queries, in one mode, at one number of picks.

    Attributes:
        domain: the group; `all` is every query.
        bits_per_byte: mean over the queries.
        percent_of_base: 100 · mean of the method / mean of the base on the same queries.
        ci95: 95 % bootstrap interval (percentile, resampling queries with both their scores) of `percent_of_base`;
            None for fewer than two queries.
        difference: mean of (method - base) in bits per byte, paired by query.
        difference_ci95: its interval, as above.
        queries: how many.
        seconds_per_query: mean wall-clock seconds by phase.
    """

    domain: str
    mode: str
    method: str
    picks: int
    bits_per_byte: float
    percent_of_base: float
    ci95: tuple[float, float] | None
    difference: float
    difference_ci95: tuple[float, float] | None
    queries: int
    seconds_per_query: dict[str, float]


def summarise(records: Iterable[Record], groups: Mapping[str, Collection[str]] | None = None) -> list[Row]:
    """Rows for every group of the records, for `all`, and for each named union of groups.

    Args:
        records: measurements; those of `base` are what the others are compared with.
        groups: names for unions of groups, such as `{"unseen": {"recipes", "eips"}}`.
    """
    cells: dict[tuple[str, str, int], dict[str, Record]] = defaultdict(dict)
    for record in records:
        cells[record.mode, record.method, record.picks][record.id] = record
    base = {(mode, i): r for (mode, method, _), cell in cells.items() if method == "base" for i, r in cell.items()}
    names = dict.fromkeys(record.group for cell in cells.values() for record in cell.values())
    unions: dict[str, Collection[str]] = {**{name: {name} for name in names}, **(groups or {}), "all": set(names)}
    rows = []
    for domain, members in unions.items():
        for (mode, method, picks), cell in cells.items():
            pairs = [(r, base[mode, i]) for i, r in sorted(cell.items()) if r.group in members and (mode, i) in base]
            if pairs:
                rows.append(_row(domain, mode, method, picks, pairs))
    return rows


def _row(domain: str, mode: str, method: str, picks: int, pairs: Sequence[tuple[Record, Record]]) -> Row:
    ours = np.array([r.bits_per_byte for r, _ in pairs])
    base = np.array([b.bits_per_byte for _, b in pairs])
    phases = dict.fromkeys(phase for r, _ in pairs for phase in r.seconds)
    ratio, difference = _intervals(ours, base)
    return Row(
        domain=domain,
        mode=mode,
        method=method,
        picks=picks,
        bits_per_byte=float(ours.mean()),
        percent_of_base=float(100 * ours.mean() / base.mean()),
        ci95=ratio,
        difference=float((ours - base).mean()),
        difference_ci95=difference,
        queries=len(pairs),
        seconds_per_query={p: float(np.mean([r.seconds.get(p, 0.0) for r, _ in pairs])) for p in phases},
    )


def _intervals(ours: np.ndarray, base: np.ndarray) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Bootstrap intervals of the per cent of base and of the paired difference."""
    from scipy.stats import bootstrap

    if len(ours) < 2:
        return None, None

    def interval(statistic: Callable[..., np.ndarray]) -> tuple[float, float]:
        found = bootstrap(
            (ours, base), statistic, paired=True, vectorized=True, n_resamples=RESAMPLES, method="percentile", rng=0
        ).confidence_interval
        return float(found.low), float(found.high)

    return (
        interval(lambda x, y, axis: 100 * x.mean(axis=axis) / y.mean(axis=axis)),
        interval(lambda x, y, axis: (x - y).mean(axis=axis)),
    )


def save_json(rows: Sequence[Row], config: Mapping[str, object], path: Path) -> None:
    """Write `{"rows": [...], "config": {...}}`, whole or not at all.

    Raises:
        StoreError: the file cannot be written.
    """
    write_atomically(path, json.dumps({"rows": [asdict(row) for row in rows], "config": config}, indent=1))
