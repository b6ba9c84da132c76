"""The numbers of docs/cache.md, from the scores of a stream and what a query costs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from adapter_stream_lab import Lab
from adapter_stream_policy import Step
from numpy.typing import NDArray
from selection_theory_statistics import Column, Row, estimate, percent, percent_difference, unions

from whet.memory import Thresholds

Mask = NDArray[np.bool_]
READY = ("embed", "cache", "search", "select", "train", "guard", "remember")
"""What has to be done before an answer is written."""


class Outcome:
    """What a policy makes of a stream.

    Args:
        lab: the stream with its scores.
        steps: what happens to each query.
        least: share of the base's bits that a query's own adapter saves where the share kept is looked at.
        seconds: by kind of query, as `time_engine` gives them.
        merge: how many adapters are merged in a hit.
        caching: whether adapters are looked up and remembered.
    """

    def __init__(
        self, lab: Lab, steps: Sequence[Step], least: float, seconds: Row, *, merge: int = 1, caching: bool = True
    ) -> None:
        self.base, kept = np.array(lab.base), lab.kept
        self.own = np.where(kept, lab.own, self.base)
        self.bits = np.array(
            [lab.trial(i, step.adapters).bits if step.serves else self.own[i] for i, step in enumerate(steps)]
        )
        self.hit = np.array([step.serves for step in steps])
        self.refused = np.array([bool(step.adapters) and not step.serves for step in steps])
        self.repeat = np.array([ask.kind == "again" for ask in lab.asks])
        self.gaining = self.base - self.own >= least * self.base
        self.topics = np.array([ask.topic for ask in lab.asks])
        self.domains = np.array([ask.domain for ask in lab.asks])
        always, miss = ready(seconds["train"], cached=False), ready(seconds["train"], cached=caching)
        served = seconds[f"hit {merge}"]
        tried = served["cache"] - seconds["train"]["cache"] + served["guard"]  # what a refused hit costs besides
        self.time = np.where(self.hit, ready(served), miss + tried * self.refused) / always

    def row(self, unseen: set[str], *, never: bool = False) -> Row:
        """Hits, quality and time, with intervals over topics; with `never`, those of the base model."""
        bits, time = (self.base, 0 * self.time) if never else (self.bits, self.time)
        found: Row = {
            "hits": float(self.hit.mean()),
            "refused": float(self.refused.mean()),
            "bits": float(bits.mean()),
            "time": estimate(_mean, 100 * time, clusters=self.topics),
            "gain kept": self._ratio(bits, np.ones(len(bits), bool)),
            "hits that harm": _share(bits > self.base, self.hit),
        }
        for name, mask in unions(self.domains, unseen).items():
            ours, own, base, topics = bits[mask], self.own[mask], self.base[mask], self.topics[mask]
            found[name] = {
                **estimate(percent, ours, base, clusters=topics),
                "time": float(100 * time[mask].mean()),
                "minus always": estimate(percent_difference, ours, own, base, clusters=topics),
            }
        return found

    def half(self, mask: Mask) -> Row:
        """Hits, gain kept and time of some of the queries."""
        return {
            "hits": float(self.hit[mask].mean()),
            "gain kept": self._ratio(self.bits, mask),
            "time": estimate(_mean, 100 * self.time[mask], clusters=self.topics[mask]),
        }

    def promise(self) -> Row:
        """What the hits keep of the gain, the repeats left out: their adapter is their own."""
        served = self.hit & ~self.repeat
        judged = served & self.gaining
        share = (self.base - self.bits)[judged] / (self.base - self.own)[judged]
        return {
            "hits": float(self.hit.mean()),
            "hits without repeats": int(served.sum()),
            "judged": int(judged.sum()),
            "kept": estimate(_mean, share, clusters=self.topics[judged]),
            "gain kept": self._ratio(self.bits, served),
        }

    def _ratio(self, bits: Column, mask: Mask) -> Row:
        """Of these queries, the bits saved as a share of those that own adapters save, in per cent."""
        saved, possible = (self.base - bits)[mask], (self.base - self.own)[mask]
        return estimate(lambda a, b: 100 * a.mean() / b.mean(), saved, possible, clusters=self.topics[mask])


def ready(seconds: Row, *, cached: bool = True) -> float:
    """Seconds until the model is ready to answer; without a cache nothing is looked up or remembered."""
    phases = [phase for phase in READY if cached or phase not in ("cache", "remember")]
    return float(sum(seconds.get(phase, 0.0) for phase in phases))


def merging(single: Outcome, merged: Outcome, unseen: set[str]) -> Row:
    """Merged minus nearest alone in points of the base's bits, over the hits of either that are no repeats."""
    served = (single.hit | merged.hit) & ~single.repeat
    found: Row = {"hits": int(served.sum())}
    for name, mask in unions(single.domains, unseen).items():
        part = served & mask
        columns = (merged.bits[part], single.bits[part], single.base[part])
        found[name] = estimate(percent_difference, *columns, clusters=single.topics[part])
    return found


def calibration_pairs(
    lab: Lab, pairs: Sequence[tuple[int, int]], least: float
) -> tuple[list[tuple[int, int]], Column, Column]:
    """Of the pairs of a query with something to keep: the pairs, cosines and shares of the gain kept."""
    base, own = lab.base, lab.own
    judged = [(i, j) for i, j in pairs if base[i] - own[i] >= least * base[i]]
    cosines = np.array([lab.cosines[i, j] for i, j in judged])
    kept = np.array([(base[i] - lab.trial(i, (j,)).bits) / (base[i] - own[i]) for i, j in judged])
    return judged, cosines, kept


def by_band(lab: Lab, pairs: Sequence[tuple[int, int]], bands: Sequence[float], least: float) -> list[Row]:
    """Share of the gain that another query's adapter keeps by cosine, whatever the guard finds of it."""
    judged, cosines, kept = calibration_pairs(lab, pairs, least)
    topics = np.array([lab.asks[i].topic for i, _ in judged])
    document = np.array([lab.asks[i].document == lab.asks[j].document for i, j in judged])
    domain = np.array([lab.asks[i].domain == lab.asks[j].domain for i, j in judged])
    rows = []
    for low, high in itertools.pairwise(bands):
        inside = (cosines >= low) & (cosines < high)
        rows.append(
            {
                "low": low,
                "high": high,
                "pairs": int(inside.sum()),
                "same document": _share(document, inside),
                "same domain": _share(domain, inside),
                "kept": estimate(_mean, kept[inside], clusters=topics[inside]),
            }
        )
    return rows


def warm_starts(lab: Lab, pairs: Sequence[tuple[int, int]], bands: Sequence[float]) -> list[Row]:
    """Per cent of the base by number of steps, afresh and from the nearest adapter, by the cosine of that."""
    rows = []
    base = lab.base
    for low, high in [*itertools.pairwise(bands), (bands[0], bands[-1])]:
        inside = [(i, j) for i, j in pairs if low <= lab.cosines[i, j] < high]
        if not inside:
            continue
        before = np.array([base[i] for i, _ in inside])
        topics = np.array([lab.asks[i].topic for i, _ in inside])
        row: Row = {"low": low, "high": high, "queries": len(inside)}
        as_it_is = np.array([lab.trial(i, (j,)).bits for i, j in inside])
        row["as it is"] = estimate(percent, as_it_is, before, clusters=topics)
        courses = [lab.course(i, j) for i, j in inside]
        ways = {way: np.array([course[way] for course in courses]) for way in ("afresh", "from")}
        for way, bits in ways.items():
            row[way] = [estimate(percent, column, before, clusters=topics) for column in bits.T]
        row["difference"] = [
            estimate(percent_difference, ways["from"][:, n], ways["afresh"][:, n], before, clusters=topics)
            for n in range(ways["from"].shape[1])
        ]
        row["half against all"] = estimate(
            percent_difference, ways["from"][:, 1], ways["afresh"][:, -1], before, clusters=topics
        )
        rows.append(row)
    return rows


def threshold_row(level: float, found: Thresholds) -> Row:
    """A calibrated threshold as plain values."""
    return {
        "level": level,
        "threshold": found.hit,
        "pairs": found.pairs,
        "mae": found.mae,
        "constant mae": found.constant_mae,
    }


def _mean(values: Column) -> float:
    return float(values.mean())


def _share(what: Mask, mask: Mask) -> float | None:
    return float(what[mask].mean()) if mask.any() else None
