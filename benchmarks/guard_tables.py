"""What `guard_textmix.py` measured, as numbers and as Markdown tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import Any

import numpy as np
from guard_conditions import CONDITIONS
from selection_theory_statistics import Column, estimate

from whet.adaptation.guard import Finding, Gain, GuardConfig, decide

Record = dict[str, Any]
GAINS = (0.0, 0.005, 0.015, 0.03, 0.05)
CONFIDENCES = (0.95, 0.99)


def answered(record: Record) -> float:
    """Bits per byte of what answers: the base model after a rollback."""
    return float(record["base"] if record["guarded"] is None else record["guarded"])


def counts(records: Sequence[Record]) -> dict[str, Any]:
    """How often the guard decided what, and what came of it."""
    wrong = [record for record in records if record["guardless"] > record["base"]]
    right = [record for record in records if record["guardless"] < record["base"]]
    base, guardless = (fmean(record[key] for record in records) for key in ("base", "guardless"))
    guarded = fmean(map(answered, records))
    return {
        "cases": len(records),
        "status": dict(Counter(record["status"] for record in records)),
        "bits_per_byte": {"base": base, "guardless": guardless, "guarded": guarded},
        "worse_without_guard": len(wrong),
        "of_these_worse_with_guard": sum(answered(record) > record["base"] for record in wrong),
        "worse_with_guard": sum(answered(record) > record["base"] for record in records),
        "better_without_guard": len(right),
        "of_these_rolled_back": sum(record["status"] == "rolled_back" for record in right),
        "most_lost_with_guard": max(answered(record) - record["base"] for record in records),
        "train_seconds": fmean(record["train_seconds"] for record in records),
        "guard_seconds": fmean(record["guard_seconds"] for record in records),
    }


def decided(record: Record, config: GuardConfig) -> Record:
    """The record with what the guard decides under these tolerances."""
    findings = [
        Finding(state["step"], _gain(state["gain"], record, config), state["canary"], state["safety"], state["kl"])
        for state in record["states"]
    ]
    chosen = decide(findings, config)
    if chosen is None:
        return {**record, "status": "rolled_back", "guarded": None}
    status = "kept" if chosen is findings[-1] else "stepped_back"
    return {**record, "status": status, "guarded": record["states"][findings.index(chosen)]["bits"]}


def _gain(seen: dict[str, float], record: Record, config: GuardConfig) -> Gain:
    """The gain with its bound at another confidence than that which it was written down with."""
    normal = NormalDist()
    wider = normal.inv_cdf(config.confidence) / normal.inv_cdf(record["confidence"])
    return Gain(**{**seen, "least": seen["mean"] - wider * (seen["mean"] - seen["least"])})


def tradeoff(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """The goals under other tolerances; what is best here was not chosen here."""
    configs = {
        f"gain={gain:g}, confidence={confidence:g}": GuardConfig(gain=gain, confidence=confidence)
        for confidence in CONFIDENCES
        for gain in GAINS
    }
    configs["prompt alone"] = GuardConfig(canary=float("inf"), kl=float("inf"))
    last = [{**record, "states": record["states"][-1:]} for record in records]
    return {
        **{name: goals([decided(record, config) for record in records]) for name, config in configs.items()},
        "no snapshot": goals([decided(record, GuardConfig()) for record in last]),
    }


def goals(records: Sequence[Record]) -> dict[str, Any]:
    """Share of the harm that is left, and of the good picks' gain that is kept, in bits and in percentages.

    Each with a 95 % bootstrap interval over queries, as the cases of a query are alike.
    """
    good = [record for record in records if record["condition"] == CONDITIONS[0]]
    harmful = [
        record for record in records if record["condition"] != CONDITIONS[0] and record["guardless"] > record["base"]
    ]
    left = np.array([float(answered(record) > record["base"]) for record in harmful])
    base, guardless = (np.array([record[key] for record in good]) for key in ("base", "guardless"))
    guarded = np.array([answered(record) for record in good])
    return {
        "left": int(left.sum()),
        "harmful": len(harmful),
        "harm_left": estimate(_mean, left, clusters=np.array([record["id"] for record in harmful])),
        "gain_kept": estimate(_ratio, base - guarded, base - guardless),
        "gain_kept_of_percentages": estimate(_ratio, 1 - guarded / base, 1 - guardless / base),
    }


def summary(records: Sequence[Record], seen: set[str]) -> dict[str, Any]:
    """The numbers of each condition and the goals; these also apart for queries that were `seen` before, and others."""
    by = {name: [record for record in records if record["condition"] == name] for name in CONDITIONS}
    train, guard = (fmean(record[key] for record in records) for key in ("train_seconds", "guard_seconds"))
    return {
        "queries": len(by[CONDITIONS[0]]),
        "goals": {**goals(records), "more_time": guard / train},
        "parts": {
            name: {"queries": len(part) // len(CONDITIONS), **goals(part)}
            for name, part in (
                ("seen before", [record for record in records if record["id"] in seen]),
                ("fresh", [record for record in records if record["id"] not in seen]),
            )
            if part
        },
        "harmful": counts([record for name in CONDITIONS[1:] for record in by[name]]),
        "conditions": {name: counts(chosen) for name, chosen in by.items()},
        "tradeoff": tradeoff(records),
    }


def _mean(values: Column) -> float:
    return float(values.mean())


def _ratio(kept: Column, possible: Column) -> float:
    return float(kept.sum() / possible.sum())


def tables(result: dict[str, Any]) -> str:
    """Markdown: the conditions, the goals, and the goals under other tolerances."""
    lines = [
        "| learnt | cases | worse without the guard | of these worse with it | kept | stepped back | rolled back "
        "| better without it, but rolled back | base | without | with |",
        "|" + "---|" * 11,
    ]
    for name, row in result["conditions"].items():
        status, bits = row["status"], row["bits_per_byte"]
        cells = [
            row["cases"],
            row["worse_without_guard"],
            row["of_these_worse_with_guard"],
            *(status.get(key, 0) for key in ("kept", "stepped_back", "rolled_back")),
            f"{row['of_these_rolled_back']} of {row['better_without_guard']}",
            *(f"{bits[key]:.3f}" for key in ("base", "guardless", "guarded")),
        ]
        lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    parts = {**result["parts"], "all": {"queries": result["queries"], **result["goals"]}}
    lines += [
        "",
        f"more time: {result['goals']['more_time']:.1%} of the time to train",
        "",
        "| queries | harmful cases | left | harm left | gain kept, of the bits | of the percentages |",
        "|" + "---|" * 6,
        *(
            f"| {name}: {row['queries']} | {row['harmful']} | {row['left']} | {_goals(row)} |"
            for name, row in parts.items()
        ),
        "",
        "| tolerances | harm left | gain kept, of the bits | of the percentages |",
        "|---|---|---|---|",
        *(f"| {name} | {_goals(row)} |" for name, row in result["tradeoff"].items()),
    ]
    return "\n".join(lines)


def _goals(row: dict[str, Any]) -> str:
    return " | ".join(_percent(row[key]) for key in ("harm_left", "gain_kept", "gain_kept_of_percentages"))


def _percent(found: dict[str, Any]) -> str:
    ends = "–".join(f"{100 * end:.1f}" for end in found["ci95"] or ())
    return f"{found['value']:.1%}" + (f" ({ends})" if ends else "")
