"""What `guard_textmix.py` measured, as numbers and as Markdown tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from guard_conditions import CONDITIONS

from whet.adaptation.guard import Finding, Gain, GuardConfig, decide

Record = dict[str, Any]
GAINS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05)


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
    """The record as it would be under other tolerances."""
    findings = [
        Finding(state["step"], Gain(**state["gain"]), state["canary"], state["safety"], state["kl"])
        for state in record["states"]
    ]
    chosen = decide(findings, config)
    if chosen is None:
        return {**record, "status": "rolled_back", "guarded": None}
    return {**record, "status": "kept", "guarded": record["states"][findings.index(chosen)]["bits"]}


def tradeoff(records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """The goals under other tolerances; what is best here was not chosen here."""
    configs = {f"gain={gain:g}": GuardConfig(gain=gain) for gain in GAINS}
    configs["prompt alone"] = GuardConfig(canary=float("inf"), kl=float("inf"))
    last = [{**record, "states": record["states"][-1:]} for record in records]
    return {
        **{name: goals([decided(record, config) for record in records]) for name, config in configs.items()},
        "no snapshot": goals([decided(record, GuardConfig()) for record in last]),
    }


def goals(records: Sequence[Record]) -> dict[str, float]:
    """Share of the harm that is left, and of the good picks' gain that is kept, in bits and in percentages."""
    good = [record for record in records if record["condition"] == CONDITIONS[0]]
    bits = counts(good)["bits_per_byte"]
    bad = counts([record for record in records if record["condition"] != CONDITIONS[0]])
    return {
        "harm_left": bad["of_these_worse_with_guard"] / max(1, bad["worse_without_guard"]),
        "gain_kept": (bits["base"] - bits["guarded"]) / (bits["base"] - bits["guardless"]),
        "gain_kept_of_percentages": _kept_of_percentages(good),
    }


def summary(records: Sequence[Record]) -> dict[str, Any]:
    """The numbers of each condition and the goals."""
    by = {name: [record for record in records if record["condition"] == name] for name in CONDITIONS}
    train, guard = (fmean(record[key] for record in records) for key in ("train_seconds", "guard_seconds"))
    return {
        "queries": len(by[CONDITIONS[0]]),
        "goals": {**goals(records), "more_time": guard / train},
        "harmful": counts([record for name in CONDITIONS[1:] for record in by[name]]),
        "conditions": {name: counts(chosen) for name, chosen in by.items()},
        "tradeoff": tradeoff(records),
    }


def _kept_of_percentages(records: Sequence[Record]) -> float:
    """The share of the gain that is kept when each query's gain is a percentage of its own base."""
    kept = sum(1 - answered(record) / float(record["base"]) for record in records)
    return kept / sum(1 - float(record["guardless"]) / float(record["base"]) for record in records)


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
    reached, bad = result["goals"], result["harmful"]
    lines += [
        "",
        f"harm left: {bad['of_these_worse_with_guard']} of {bad['worse_without_guard']} ({reached['harm_left']:.1%})",
        f"gain of good picks kept: {reached['gain_kept']:.1%} of the bits, "
        f"{reached['gain_kept_of_percentages']:.1%} of the percentages",
        f"more time: {reached['more_time']:.1%} of the time to train",
        "",
        "| tolerances | harm left | gain kept, of the bits | of the percentages |",
        "|---|---|---|---|",
    ]
    for name, row in result["tradeoff"].items():
        lines.append(f"| {name} | " + " | ".join(f"{value:.1%}" for value in row.values()) + " |")
    return "\n".join(lines)
