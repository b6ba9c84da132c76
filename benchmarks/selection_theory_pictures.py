"""The figures and the tables of docs/selection_theory.md, from what `selection_theory_report.py` computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from selection_theory_report import Outcome
from selection_theory_statistics import Row, spearman

from whet.evaluation.files import write_atomically

mpl.use("agg")
mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#8a8f98"
UNIONS = {"all": "all queries", "seen": "seen domains", "unseen": "unseen domains"}


def draw(found: Row, clouds: dict[str, Outcome], unseen: set[str], folder: Path) -> None:
    """The four figures."""
    for name, figure in (
        ("variance", _variance(clouds, unseen, found["fixed counts"])),
        ("duplicates", _duplicates(found["duplicates"])),
        ("stopping", _stopping(found["stopping"], found["fixed counts"])),
        ("noise", _noise(found["noise"])),
    ):
        figure.savefig(folder / f"theory_{name}.png", dpi=130, metadata={"Software": None})


def _variance(clouds: dict[str, Outcome], unseen: set[str], fixed: list[Row]) -> Figure:
    figure = Figure(figsize=(9.6, 3.3), layout="constrained")
    *scatters, path = figure.subplots(1, len(clouds) + 1)
    for axes, (name, cloud) in zip(scatters, clouds.items(), strict=True):
        left, saved = cloud.left, 100 * cloud.saved
        new = np.isin(cloud.groups, sorted(unseen))
        for mask, colour, label in ((~new, BLUE, "seen domain"), (new, ORANGE, "unseen domain")):
            axes.scatter(left[mask], saved[mask], s=14, color=colour, alpha=0.75, linewidths=0, label=label)
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.set(
            title=f"{name} picks\n{len(left)} queries, rank correlation {_signed(spearman(left, saved), 2)}",
            xlabel="variance left, share of the prior",
            ylabel="bits saved, % of the base",
        )
    scatters[0].legend(frameon=False, loc="upper right")
    for name, colour, place in (("seen", BLUE, (0, -12)), ("unseen", ORANGE, (24, -3))):
        rows = [row[name] for row in fixed if name in row]
        path.plot([r["left"] for r in rows], [r["value"] for r in rows], "o-", ms=3, color=colour, label=UNIONS[name])
        path.annotate(f"{fixed[-1]['picks']} picks", (rows[-1]["left"], rows[-1]["value"]), place, **_OFFSET)
    path.set(
        title="SIFT(0.1), pick by pick, means\n(from 0 picks, at the right)",
        xlabel="variance left, share of the prior",
        ylabel="bits per byte, % of the base",
    )
    return figure


_OFFSET: Any = {"textcoords": "offset points", "fontsize": 8, "ha": "center"}


def _duplicates(rows: list[Row]) -> Figure:
    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    places = np.arange(len(rows))
    for axes, name in zip(panels[:2], ("seen", "unseen"), strict=True):
        for method, colour, shift in (("nearest", ORANGE, -0.06), ("sift", BLUE, 0.06)):
            _errors(axes, places + shift, [row[method][name] for row in rows], colour, _label(method))
        axes.axhline(100, color=GREY, linewidth=0.8)
        axes.set(title=UNIONS[name], ylabel="bits per byte, % of the base")
    panels[0].legend(frameon=False, loc="upper left")
    for method, colour in (("nearest", ORANGE), ("sift", BLUE)):
        panels[2].plot(places, [row[method]["distinct"] for row in rows], "o-", ms=4, color=colour)
    panels[2].set(title="different texts among 20 picks", ylim=(0, 21))
    panels[2].set_yticks(range(0, 21, 5))
    for axes in panels:
        axes.set_xticks(places, [str(row["copies"]) for row in rows])
        axes.set_xlabel("near-copies of each of the 5 nearest")
    return figure


def _label(method: str) -> str:
    return "SIFT(0.1)" if method == "sift" else "nearest neighbours"


def _errors(axes: Axes, x: Any, cells: list[Row], colour: str, label: str) -> None:
    value = np.array([cell["value"] for cell in cells])
    ends = np.array([cell["ci95"] or (cell["value"],) * 2 for cell in cells]).T
    axes.errorbar(x, value, abs(ends - value), fmt="o-", ms=4, capsize=2, color=colour, linewidth=1.2, label=label)


def _stopping(rows: list[Row], fixed: list[Row]) -> Figure:
    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, 3), UNIONS, strict=True):
        line = [(row["picks"], row[name]["value"]) for row in fixed if name in row]
        axes.plot(*zip(*line, strict=True), "-", color=GREY, label="the same for every query")
        own = [(row[name]["picks"], row[name]["percent"]["value"]) for row in rows]
        axes.plot(*zip(*own, strict=True), "o", ms=4, color=BLUE, label="adaptive, by α")
        for (x, y), row in zip(own, rows, strict=True):
            axes.annotate(f"{row['alpha']:g}", (x, y), (-4, -11), **_OFFSET)
        axes.set(title=UNIONS[name], xlabel="mean number of picks", ylabel="bits per byte, % of the base")
        axes.margins(y=0.12)
        if name == "all":
            axes.legend(frameon=False, loc="upper right", fontsize=8)
    return figure


def _noise(rows: list[Row]) -> Figure:
    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    sift = [row for row in rows if row["method"].startswith("sift")]
    noises = [row["noise"] for row in sift]
    lines = {row["method"]: row for row in rows if not row["method"].startswith("sift")}
    styles = (("nearest", ORANGE, "--"), ("random", GREY, ":"))
    for axes, name in zip(panels[:2], ("seen", "unseen"), strict=True):
        _errors(axes, noises, [row[name] for row in sift], BLUE, "SIFT(λ)")
        for method, colour, style in styles:
            axes.axhline(lines[method][name]["value"], color=colour, linestyle=style, label=method)
        axes.set(title=UNIONS[name], ylabel="bits per byte, % of the base")
    panels[2].legend(*panels[1].get_legend_handles_labels(), frameon=False, loc="lower left")
    panels[2].plot(noises, [row["distinct"] for row in sift], "o-", ms=4, color=BLUE)
    panels[2].set(title="different texts among 20 picks", ylim=(0, 21))
    panels[2].set_yticks(range(0, 21, 5))
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xticks(noises, [f"{noise:g}" for noise in noises])
        axes.minorticks_off()
        axes.set_xlabel("λ")
    return figure


def tables(found: Row) -> dict[str, str]:
    """Markdown by the name of the place in the page."""
    return {
        "run": _run(found),
        "foresight": _foresight(found["foresight"]),
        "pairs": _pairs(found["pairs"]),
        "duplicates": _duplicates_table(found["duplicates"]),
        "stopping": _stopping_table(found["stopping"]),
        "noise": _noise_table(found["noise"]),
        "seeds": _seeds(found["seeds"], found["seed queries"]),
    }


def _run(found: Row) -> str:
    q = found["queries"]
    domains = found["domains"]
    return (
        f"**{q['all']} validation queries of {domains} domains: {q['seen']} of domains that the base has seen, "
        f"{q['unseen']} of others; base model {found['base bits']:.3f} bits per byte.**"
    )


def _foresight(rows: list[Row]) -> str:
    columns = ["all", "all, domains drawn", "seen", "unseen", "within domains", "given base bits"]
    heads = ["all", "all, domains resampled", "seen", "unseen", "within domains", "given the base's bits"]
    body = [[r["source"], str(r["queries"]), *(_cell(r[c], 2) for c in columns)] for r in rows]
    return _markdown(["picks", "queries", *heads], body)


def _pairs(rows: list[Row]) -> str:
    body = []
    for r in rows:
        share = {"value": 100 * r["agree"]["value"], "ci95": [100 * v for v in r["agree"]["ci95"] or ()]}
        body.append([r["name"], _signed(r["left"], 3), _cell(r["percent"], 1), f"{_cell(share, 0, sign=False)}"])
    return _markdown(["A against B", "variance left, A − B", "% of the base, A − B", "queries that agree, %"], body)


def _duplicates_table(rows: list[Row]) -> str:
    body = [
        [
            str(r["copies"]),
            *(f"{r[m]['distinct']:.1f}" for m in ("nearest", "sift")),
            *(f"{r[m]['left']:.3f}" for m in ("nearest", "sift")),
            *(_cell(r[m]["all"], 1, sign=False) for m in ("nearest", "sift")),
            *(_cell(r["sift - nearest"][name], 1) for name in UNIONS if name in r["sift - nearest"]),
            _cell(r["bits, sift - nearest"], 3),
        ]
        for r in rows
    ]
    heads = ["copies", "texts, nearest", "texts, SIFT", "variance, nearest", "variance, SIFT", "nearest, % of base"]
    more = ["SIFT, % of base", "SIFT − nearest, all", "seen", "unseen", "bits per byte, SIFT − nearest"]
    return _markdown([*heads, *more], body)


def _stopping_table(rows: list[Row]) -> str:
    body = []
    for r in rows:
        a = r["all"]
        body.append([f"{r['alpha']:g}", f"{a['picks']:.1f} ({a['least']}–{a['most']})", f"{a['percent']['value']:.1f}"])
        body[-1] += [f"{a['fixed']:.1f}", *(_cell(r[name]["difference"], 2) for name in UNIONS if name in r)]
    heads = ["α", "picks: mean (range)", "adaptive, % of base", "as many for all, %", "adaptive − fixed, all"]
    return _markdown([*heads, "within seen", "within unseen"], body)


def _noise_table(rows: list[Row]) -> str:
    body = []
    for r in rows:
        own = "nearest" not in r["method"]
        difference = r["minus nearest"]
        cells = [_cell(difference[name], 1) if own else "" for name in UNIONS if name in difference]
        shown = [r["method"], f"{r['distinct']:.1f}", f"{r['left']:.3f}", _cell(r["all"], 1, sign=False)]
        body.append([*shown, *cells])
    heads = ["picks", "different texts", "variance left", "% of base"]
    return _markdown([*heads, "minus nearest, all", "seen", "unseen"], body)


def _seeds(rows: list[Row], queries: int) -> str:
    body = [
        [
            f"{_label(r['method'])}, {r['copies']} copies",
            *(f"{value:.2f}" for value in r["percent"]),
            f"{r['sd over seeds']:.2f}",
            f"{r['sd over queries']:.1f}",
        ]
        for r in rows
    ]
    seeds = [f"seed {i}, % of base" for i in range(len(rows[0]["percent"]))] if rows else []
    return f"{queries} queries.\n\n" + _markdown(["picks", *seeds, "SD over seeds", "SD over queries"], body)


def _cell(found: Row, digits: int, *, sign: bool = True) -> str:
    write = _signed if sign else lambda value, n: f"{value:.{n}f}"
    if found["value"] is None:
        return ""
    joint = " to " if sign else "–"
    ends = joint.join(write(end, digits) for end in found["ci95"] or ())
    return write(found["value"], digits) + (f" ({ends})" if ends else "")


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _markdown(heads: list[str], body: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *body])


def fill(page: Path, parts: dict[str, str]) -> None:
    """Put each table between the marks of its name in the page."""
    text = page.read_text()
    for name, table in parts.items():
        head, _, rest = text.partition(f"<!-- {name} -->\n")
        _, _, tail = rest.partition(f"<!-- end of {name} -->")
        text = f"{head}<!-- {name} -->\n{table}\n<!-- end of {name} -->{tail}"
    write_atomically(page, text)
