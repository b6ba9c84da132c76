"""The figure and the tables of docs/cache.md, from what `adapter_stream_report.py` computes."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from adapter_stream_report import READY, ready
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from selection_theory_statistics import Column, Row
from sklearn.isotonic import IsotonicRegression

mpl.use("agg")
mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#8a8f98"
UNIONS = {"all": "all queries", "seen": "seen domains", "unseen": "unseen domains"}


def draw(found: Row, cosines: Column, kept: Column, path: Path) -> None:
    """Quality against time, by kind of domain; and what an adapter keeps for another query, by cosine."""
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    *panels, share = figure.subplots(1, 3)
    for axes, name in zip(panels, ("seen", "unseen"), strict=True):
        _policies(axes, found, name)
    panels[0].legend(frameon=False, loc="upper right", fontsize=8)
    _shares(share, found, cosines, kept)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def _policies(axes: Axes, found: Row, name: str) -> None:
    rows = [row for row in found["policies"] if row["threshold"] is not None]
    x = [row[name]["time"] for row in rows]
    y = np.array([row[name]["value"] for row in rows])
    ends = np.array([row[name]["ci95"] or (row[name]["value"],) * 2 for row in rows]).T
    axes.fill_between(x, ends[0], ends[1], color=BLUE, alpha=0.12, linewidth=0)
    axes.plot(x, y, "o-", ms=4, color=BLUE, linewidth=1.2, label="by threshold")
    for place, (time, value, row) in enumerate(zip(x, y, rows, strict=True)):
        if name == "unseen" and row["threshold"] in (0.0, 0.4, 0.6, 0.8, 1.0):  # on seen ones they lie too close
            shift = (4, 5) if place % 2 else (4, 4)
            axes.annotate(f"{row['threshold']:g}", (time, value), shift, textcoords="offset points", fontsize=8)
    always = next(row for row in found["policies"] if row["name"] == "always train")
    axes.plot(100, always[name]["value"], "s", ms=5, color=ORANGE, label="always train")
    axes.plot(0, 100, "s", ms=5, color=GREY, label="never train")
    axes.axhline(100, color=GREY, linewidth=0.8)
    axes.set(title=UNIONS[name], xlabel="time until ready, % of always training", ylabel="bits per byte, % of the base")
    axes.margins(y=0.12)


def _shares(axes: Axes, found: Row, cosines: Column, kept: Column) -> None:
    shown = np.clip(kept, -0.5, 1.5)
    axes.scatter(cosines, shown, s=8, color=GREY, alpha=0.5, linewidths=0, label="pair of queries")
    fitted = IsotonicRegression().fit(cosines, kept)
    axes.plot(fitted.X_thresholds_, fitted.y_thresholds_, color=BLUE, linewidth=1.4, label="fit")
    for place, row in enumerate(found["promise"]):
        if row["threshold"] is not None:
            axes.axvline(row["threshold"], color=ORANGE, linewidth=0.8, linestyle="--")
            axes.annotate(
                f"{row['level']:g}",
                (row["threshold"], 1.4 - 0.15 * place),
                (2, 0),
                textcoords="offset points",
                fontsize=8,
            )
    axes.axhline(1, color=GREY, linewidth=0.8)
    axes.set(title="share of the gain kept\nvalidation, cut at −0.5 and 1.5", xlabel="cosine of the two queries")
    axes.legend(frameon=False, loc="lower right", fontsize=8)


def tables(found: Row) -> dict[str, str]:
    """Markdown by the name of the place in the page."""
    return {
        "run": _run(found),
        "policies": _policy_table(found["policies"]),
        "choice": _choice(found["choice"]),
        "merging": _merging(found["merging"]),
        "bands": _bands(found["bands"]),
        "promise": _promise(found["promise"]),
        "warm": _warm(found),
        "seconds": _seconds(found["seconds"]),
    }


def _run(found: Row) -> str:
    stream = found["stream"]
    kinds, findings = stream["kinds"], stream["findings"]
    return (
        f"**{stream['queries']} test queries on {stream['topics']} topics of {stream['domains']} domains: "
        f"{kinds['new']} passages, {kinds['restated']} moved passages, {kinds['again']} exact repeats; base model "
        f"{stream['base bits']:.3f} bits per byte. Of {stream['different']} adapters the guard rolled "
        f"{findings.get('rolled_back', 0)} back and took {findings.get('stepped_back', 0)} to half of their steps.**"
    )


def _policy_table(rows: list[Row]) -> str:
    body = [
        [
            row["name"],
            f"{100 * row['hits']:.0f}",
            f"{100 * row['refused']:.0f}",
            f"{row['bits']:.3f}",
            *(_cell(row[name], 1) for name in UNIONS),
            _cell(row["all"]["minus always"], 1, sign=True),
            _cell(row["gain kept"], 0),
            _cell(row["time"], 0),
        ]
        for row in rows
    ]
    heads = ["threshold", "hits, %", "refused, %", "bits per byte", "% of base, all", "seen", "unseen"]
    return _markdown([*heads, "minus always, all", "gain kept, %", "time, % of always"], body)


def _choice(found: Row) -> str:
    body = [
        [
            f"{row['threshold']:g}",
            *(
                f"{100 * row[half]['hits']:.0f}" if key == "hits" else _cell(row[half][key], 0)
                for half in ("choosing", "confirming")
                for key in ("hits", "gain kept", "time")
            ),
        ]
        for row in found["rows"]
    ]
    heads = [f"{key}, {half}" for half in ("choosing", "confirming") for key in ("hits, %", "gain kept, %", "time, %")]
    return _markdown(["threshold", *heads], body)


def _merging(rows: list[Row]) -> str:
    body = [
        [
            f"{row['threshold']:g}",
            str(row["merged"]),
            str(row["hits"]),
            *(_cell(row[name], 2, sign=True) for name in UNIONS),
        ]
        for row in rows
    ]
    return _markdown(["threshold", "merged", "hits without repeats", "merged − nearest, all", "seen", "unseen"], body)


def _bands(rows: list[Row]) -> str:
    body = []
    for row in rows:
        cells = []
        for name in ("validation", "test"):
            part = row[name]
            cells += [str(part["pairs"]), _cell(part["kept"], 2)]
        same = [row["validation"][f"same {what}"] for what in ("domain", "document")]
        cells += ["" if share is None else f"{100 * share:.0f}" for share in same]
        body.append([f"{row['low']:g}–{row['high']:g}", *cells])
    heads = ["pairs, validation", "share kept, validation", "pairs, test", "share kept, test"]
    return _markdown(["cosine", *heads, "same domain, % (validation)", "same document, %"], body)


def _promise(rows: list[Row]) -> str:
    body = []
    for row in rows:
        if row["threshold"] is None:
            body.append([f"{row['level']:g}", "never", *[""] * 6])
            continue
        errors = f"{row['mae']:.2f} / {row['constant mae']:.2f}"
        counts = [f"{100 * row['hits']:.0f}", str(row["hits without repeats"]), str(row["judged"])]
        body.append([f"{row['level']:g}", f"{row['threshold']:.3f}", errors, *counts, _cell(row["kept"], 2)])
        body[-1].append(_cell(row["gain kept"], 0))
    heads = ["share asked for", "threshold", "error / of a constant", "hits, %", "hits without repeats", "judged"]
    return _markdown([*heads, "mean share kept", "gain kept by these hits, %"], body)


def _warm(found: Row) -> str:
    counts = found["warm"]["counts"]
    body = []
    for row in found["warm"]["rows"]:
        steps = [f"{a['value']:.1f} / {w['value']:.1f}" for a, w in zip(row["afresh"], row["from"], strict=True)]
        last = [_cell(row["difference"][-1], 1, sign=True), _cell(row["half against all"], 1, sign=True)]
        body.append(
            [f"{row['low']:g}–{row['high']:g}", str(row["queries"]), f"{row['as it is']['value']:.1f}", *steps, *last]
        )
    after = [*(f"{n} steps" for n in counts), "all"]
    heads = ["cosine", "queries", "adapter as it is", *(f"{steps}: afresh / from it" for steps in after)]
    return _markdown([*heads, "all: from it − afresh", f"{counts[-1]} steps from it − all afresh"], body)


def _seconds(seconds: Row) -> str:
    phases = [*READY, "generate"]
    body = []
    for name, label in (
        ("train", "trained and remembered"),
        ("hit 1", "hit"),
        ("hit 5", "hit, 5 merged"),
    ):
        cells = [f"{seconds[name][phase]:.3f}" if phase in seconds[name] else "" for phase in phases]
        body.append([label, *cells, f"{ready(seconds[name]):.2f}"])
    return _markdown(["", *phases, "until ready"], body)


def _cell(found: Row, digits: int, *, sign: bool = False) -> str:
    if found["value"] is None:
        return ""
    form = f"{'+' if sign else ''}.{digits}f"
    limits = found["ci95"] or ()
    joint = " to " if sign or min(limits, default=0) < 0 else "–"
    ends = joint.join(format(end, form) for end in limits)
    return (format(found["value"], form) + (f" ({ends})" if ends else "")).replace("-", "−")


def _markdown(heads: list[str], body: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *body])
