"""What the log of `selection_theory.py` holds, and the numbers of the page that are made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from selection_theory_statistics import (
    Column,
    Row,
    centred_ranks,
    correlation,
    estimate,
    percent,
    percent_difference,
    spearman,
    spearman_given,
    unions,
)

from whet.control import AdaptiveStop

FEWEST_DOMAINS = 10
"""Domains of several queries, below which nothing is said of what holds within them."""


@dataclass(frozen=True)
class Point:
    """One score.

    Attributes:
        method: `base`, `random`, `nearest` or `sift`.
        noise: λ of `sift`; of the others the λ that `left` is for.
        copies: near-copies made of each of the nearest candidates.
        seed: of the adapter's first weights.
        picks: gradient steps.
        bits: bits per byte of the query.
        left: variance left at the query after these picks, as a share of the prior, with one λ for all methods.
        distinct: different texts among the picks.
    """

    method: str
    noise: float
    copies: int
    seed: int
    picks: int
    bits: float
    left: float
    distinct: int


@dataclass(frozen=True)
class Part:
    """What is logged at once: `main` or `seeds` of one query; in `main` with the trace of variances of SIFT."""

    id: str
    group: str
    name: str
    points: list[Point]
    trace: list[float]


@dataclass(frozen=True)
class Outcome:
    """What picks left of the variance, and what training on them came to: columns, one number a query."""

    left: Column
    bits: Column
    base: Column
    groups: Column

    @property
    def saved(self) -> Column:
        """Share of the base model's bits."""
        return 1 - self.bits / self.base


class Scores:
    """The points of some queries as columns, one number a query."""

    def __init__(self, parts: Sequence[Part], noise: float, picks: int) -> None:
        self.noise, self.picks = noise, picks
        by_id: dict[str, dict[tuple[Any, ...], Point]] = {}
        for part in parts:
            points = {(p.method, p.noise, p.copies, p.seed, p.picks): p for p in part.points}
            by_id.setdefault(part.id, {}).update(points)
        main = [part for part in parts if part.name == "main"]
        self.groups = np.array([part.group for part in main])
        self.traces = [part.trace for part in main]
        self._points = [by_id[part.id] for part in main]
        self.base = self.of("bits", "base", picks=0)

    def of(
        self,
        field: str,
        method: str,
        noise: float | None = None,
        *,
        copies: int = 0,
        seed: int = 0,
        picks: int | Sequence[int] | None = None,
    ) -> Column:
        """One field of a method's points, after `picks` picks (one number, or one for each query)."""
        noise = self.noise if noise is None else noise
        counts = np.broadcast_to(self.picks if picks is None else np.asarray(picks), len(self._points))
        keys = [(method, noise, copies, seed, int(n)) for n in counts]
        return np.array([getattr(points[key], field) for points, key in zip(self._points, keys, strict=True)], float)

    def outcome(self, method: str, picks: int) -> Outcome:
        """Of one method after `picks` picks."""
        left, bits = (self.of(field, method, picks=picks) for field in ("left", "bits"))
        return Outcome(left, bits, self.base, self.groups)


def foresight(outcome: Outcome, unseen: set[str]) -> Row:
    """Rank correlations of the variance left with the share of bits saved: overall, and with causes taken out."""
    left, saved, base, groups = outcome.left, outcome.saved, outcome.base, outcome.groups
    found: Row = {"queries": len(base)}
    for name, mask in unions(groups, unseen).items():
        found[name] = estimate(spearman, left[mask], saved[mask])
    found["all, domains drawn"] = estimate(spearman, left, saved, clusters=groups)
    names, sizes = np.unique(groups, return_counts=True)
    several = np.isin(groups, names[sizes > 1])
    if (sizes > 1).sum() < FEWEST_DOMAINS:
        several[:] = False
    ranks = [centred_ranks(column[several], groups[several]) for column in (left, saved)]
    found["within domains"] = estimate(correlation, *ranks, clusters=groups[several])
    means = [np.array([column[groups == name].mean() for name in names]) for column in (left, saved)]
    found["between domains"] = estimate(spearman, *means)
    found["given base bits"] = estimate(spearman_given, left, saved, base)
    found["base bits with saved"] = estimate(spearman, base, saved)
    return found


def pair(scores: Scores, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Row:
    """Two sets of picks for the same queries: what each leaves of the variance, and of the bits."""
    left = scores.of("left", **ours) - scores.of("left", **theirs)
    mine, other = scores.of("bits", **ours), scores.of("bits", **theirs)
    differ = left != 0
    agree = (np.sign(left) == np.sign(mine - other)).astype(float)[differ]
    return {
        "left": float(left.mean()),
        "percent": estimate(percent_difference, mine, other, scores.base),
        "agree": estimate(np.mean, agree),
        "differ": int(differ.sum()),
    }


def duplicates(scores: Scores, copies: Sequence[int], unseen: set[str]) -> list[Row]:
    """Nearest neighbours and SIFT by number of near-copies, in per cent of the base, with the paired difference."""
    rows = []
    for c in copies:
        nearest, sift = (scores.of("bits", method, copies=c) for method in ("nearest", "sift"))
        row: Row = {"copies": c}
        for method, bits in (("nearest", nearest), ("sift", sift)):
            row[method] = {
                "distinct": float(scores.of("distinct", method, copies=c).mean()),
                "left": float(scores.of("left", method, copies=c).mean()),
                **_by_union(scores, unseen, percent, bits),
            }
        row["sift - nearest"] = _by_union(scores, unseen, percent_difference, sift, nearest)
        row["bits, sift - nearest"] = estimate(np.mean, sift - nearest)
        rows.append(row)
    return rows


def _by_union(scores: Scores, unseen: set[str], statistic: Callable[..., float], *columns: Column) -> Row:
    masks = unions(scores.groups, unseen)
    return {
        name: estimate(statistic, *(column[mask] for column in (*columns, scores.base)))
        for name, mask in masks.items()
        if mask.any()
    }


def stopped_at(trace: Sequence[float], alpha: float) -> int:
    """How many picks the adaptive rule takes, of those that the trace of variances is from."""
    stop = AdaptiveStop(alpha)
    ends = (n for n in range(len(trace) - 1) if stop(n, trace[n], trace[n + 1]))
    return next(ends, len(trace) - 1)


def stopping(scores: Scores, alphas: Sequence[float], counts: Sequence[int], unseen: set[str]) -> list[Row]:
    """The adaptive rule, and as many picks on average for every query; linear between the counts that were scored."""
    fixed = np.stack([scores.base, *(scores.of("bits", "sift", picks=n) for n in counts)], axis=1)
    places = np.array([0, *counts], float)

    def against_fixed(ours: Column, picks: Column, fixed: Column, base: Column) -> float:
        return percent_difference(ours, same_mean(picks, fixed), base)

    def same_mean(picks: Column, fixed: Column) -> Column:
        weights = np.array([np.interp(picks.mean(), places, unit) for unit in np.eye(len(places))])
        mean: Column = fixed @ weights
        return mean

    rows = []
    for alpha in alphas:
        picks = np.array([stopped_at(trace, alpha) for trace in scores.traces], float)
        bits = scores.of("bits", "sift", picks=picks.astype(int).tolist())
        row: Row = {"alpha": alpha}
        for name, mask in unions(scores.groups, unseen).items():
            if mask.any():
                own, number, curve, base = bits[mask], picks[mask], fixed[mask], scores.base[mask]
                row[name] = {
                    "picks": float(number.mean()),
                    "least": int(number.min()),
                    "most": int(number.max()),
                    "percent": estimate(percent, own, base),
                    "fixed": percent(same_mean(number, curve), base),
                    "difference": estimate(against_fixed, own, number, curve, base),
                }
        rows.append(row)
    return rows


def fixed_counts(scores: Scores, counts: Sequence[int], unseen: set[str]) -> list[Row]:
    """SIFT after each number of picks, for every query the same."""
    rows = [{"picks": 0, **{name: {"value": 100.0, "left": 1.0} for name in ("all", "seen", "unseen")}}]
    masks = unions(scores.groups, unseen)
    for n in counts:
        left = scores.of("left", "sift", picks=n)
        found = _by_union(scores, unseen, percent, scores.of("bits", "sift", picks=n))
        rows.append({"picks": n, **{m: {**cell, "left": float(left[masks[m]].mean())} for m, cell in found.items()}})
    return rows


def noise_levels(scores: Scores, noises: Sequence[float], unseen: set[str]) -> list[Row]:
    """SIFT by λ, nearest neighbours and the random draw, in per cent of the base."""
    nearest = scores.of("bits", "nearest")
    ways = [("sift", noise) for noise in noises] + [("nearest", scores.noise), ("random", scores.noise)]
    rows = []
    for method, noise in ways:
        bits = scores.of("bits", method, noise)
        rows.append(
            {
                "method": f"sift({noise:g})" if method == "sift" else method,
                "noise": noise,
                "distinct": float(scores.of("distinct", method, noise).mean()),
                "left": float(scores.of("left", method, noise).mean()),
                **_by_union(scores, unseen, percent, bits),
                "minus nearest": _by_union(scores, unseen, percent_difference, bits, nearest),
            }
        )
    return rows


def seed_spread(scores: Scores, seeds: Sequence[int], most: int) -> list[Row]:
    """How far a score moves with the adapter's first weights alone, beside how far it moves from query to query."""
    rows = []
    for method, copies in (("nearest", 0), ("sift", 0), ("nearest", most), ("sift", most)):
        bits = np.stack([scores.of("bits", method, copies=copies, seed=seed) for seed in seeds])
        saved = 100 * (1 - bits / scores.base)
        rows.append(
            {
                "method": method,
                "copies": copies,
                "percent": [percent(each, scores.base) for each in bits],
                "sd over seeds": float(np.sqrt(saved.var(axis=0, ddof=1).mean())),
                "sd over queries": float(saved.mean(axis=0).std(ddof=1)),
            }
        )
    return rows
