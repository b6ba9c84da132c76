"""Figures as SVG text to stand in a page: one ink that follows the page's own, one colour for each method.

Drawn without pyplot, so that nothing outside is changed. Text stays text; `currentColor` is the ink, the ground is
transparent. Colours are those of Okabe and Ito (2008, "Color Universal Design") for methods, and of Paul Tol's
"bright" scheme (2021, technical note SRON/EPS/TN/09-002) for phases: both keep apart for colour-blind readers.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NewType

from whet.evaluation.findings import phases
from whet.evaluation.summary import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Svg = NewType("Svg", str)
"""SVG that this module drew, and that therefore may stand in a page as it is."""

INK = "#010203"
"""Stands for the page's ink while drawing; no other colour of ours is like it."""

_WIDTH = 4.8
"""Inches; at 96 pixels an inch about the width of a phone's screen, so that the text stays readable there."""

_METHOD_COLOURS = {
    "base": "#8a8a8a",
    "context": "#E69F00",
    "random": "#56B4E9",
    "nearest": "#0072B2",
    "repeat": "#D55E00",
    "sift": "#009E73",
}
_PHASE_COLOURS = ("#66CCEE", "#4477AA", "#AA3377", "#228833", "#CCBB44", "#EE6677", "#BBBBBB")
_LEGEND_COLUMNS = 5
_OTHER = "#CC79A7"


def method_colour(method: str) -> str:
    """The colour of a method such as `sift(0.1)`, whatever its parameter."""
    return _METHOD_COLOURS.get(method.split("(")[0], _OTHER)


def percent_dots(rows: Sequence[Row], labels: Sequence[str], span: tuple[float, float]) -> Svg:
    """Per cent of the base of each row, with its 95% interval, one a line; the base is the line at 100.

    Args:
        rows: what to show.
        labels: one a row.
        span: ends of the axis, the same for figures that are to be compared; see `percent_span`.
    """
    figure, axes = canvas(0.75 + 0.3 * len(rows))
    axes.axvline(100, color=INK, linewidth=1, linestyle=(0, (4, 3)), alpha=0.6)
    places = range(len(rows))
    for place, row in zip(places, rows, strict=True):
        colour = method_colour(row.method)
        if row.ci95 is not None:
            axes.plot(row.ci95, (place, place), color=colour, linewidth=2.5, solid_capstyle="round")
        axes.plot(row.percent_of_base, place, "o", color=colour, markersize=7)
        axes.annotate(
            f"{row.percent_of_base:.1f}", (1.02, place), xycoords=("axes fraction", "data"), va="center", color=INK
        )
    axes.set_yticks(places, [_clean(label) for label in labels])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(span)
    axes.set_xlabel("% of base (lower is better)")
    axes.grid(axis="x", color=INK, alpha=0.12)
    return to_svg(figure)


def percent_span(rows: Iterable[Row]) -> tuple[float, float]:
    """The range of per cent of base that shows all of these rows and their intervals."""
    ends = [100.0]
    for row in rows:
        ends += [row.percent_of_base, *(row.ci95 or ())]
    margin = max(1.0, 0.04 * (max(ends) - min(ends)))
    return min(ends) - margin, max(ends) + margin


def seconds_bars(seconds: Mapping[str, Mapping[str, float]]) -> Svg:
    """Seconds of a query by phase, as one stacked bar for each name."""
    there = phases(seconds.values())
    lines = -(-len(there) // _LEGEND_COLUMNS)
    figure, axes = canvas(0.8 + 0.25 * lines + 0.3 * len(seconds))
    left = [0.0] * len(seconds)
    for number, phase in enumerate(there):
        widths = [spent.get(phase, 0.0) for spent in seconds.values()]
        colour = _PHASE_COLOURS[number % len(_PHASE_COLOURS)]
        axes.barh(range(len(seconds)), widths, left=left, height=0.62, color=colour, label=_clean(phase))
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for place, total in enumerate(left):
        axes.annotate(f"{total:.2f}", (1.02, place), xycoords=("axes fraction", "data"), va="center", color=INK)
    axes.set_yticks(range(len(seconds)), [_clean(name) for name in seconds])
    axes.set_ylim(len(seconds) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds per query")
    axes.grid(axis="x", color=INK, alpha=0.12)
    axes.set_axisbelow(True)
    if there:
        legend(figure, axes)
    return to_svg(figure)


def variance_lines(traces: Mapping[str, Sequence[float]]) -> Svg:
    """Posterior variance of a query before any pick and after each, one line for each selector."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = canvas(2.9)
    for (name, trace), marker in zip(traces.items(), _markers(len(traces)), strict=True):
        axes.plot(range(len(trace)), trace, marker=marker, markersize=4, color=method_colour(name), label=_clean(name))
    axes.set_xlabel("picks")
    axes.set_ylabel("posterior variance")
    axes.set_ylim(bottom=0)
    axes.grid(color=INK, alpha=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, axes)
    return to_svg(figure)


def loss_steps(before: Sequence[float], after: Sequence[float]) -> Svg:
    """Loss on the pick of each step, before and after the step."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = canvas(2.9)
    steps = range(1, len(before) + 1)
    axes.vlines(steps, after, before, color=INK, alpha=0.35, linewidth=1)
    axes.plot(steps, before, "o", markersize=5, color=_METHOD_COLOURS["repeat"], label="before the step")
    axes.plot(steps, after, "s", markersize=4.5, color=_METHOD_COLOURS["sift"], label="after it")
    axes.set_xlabel("step")
    axes.set_ylabel("bits per byte of the pick")
    axes.grid(color=INK, alpha=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, axes)
    return to_svg(figure)


def _markers(n: int) -> list[str]:
    return [("o", "s", "^", "D", "v")[i % 5] for i in range(n)]


def canvas(height: float) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, `height` in inches, drawn in the ink."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set(color=INK, fontsize=9)
    axes.yaxis.label.set(color=INK, fontsize=9)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=INK, alpha=0.5)
    return figure, axes


def legend(figure: Figure, axes: Axes) -> None:
    """The names of what is drawn, above the axes."""
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside upper left", ncols=_LEGEND_COLUMNS, fontsize=9, frameon=False, labelcolor=INK,
        handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip


def _clean(label: str) -> str:
    """A label without the characters that XML cannot hold."""
    return "".join(c if c.isprintable() else "�" for c in label)


def to_svg(figure: Figure) -> Svg:
    """The figure as one `<svg>` element, the same for the same figure, sized by the page."""
    from matplotlib import rc_context
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a dollar sign in a label is no formula
    drawn = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "whet"}):
        figure.savefig(drawn, format="svg", metadata=nothing)
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :].strip().replace(INK, "currentColor")
    # Numbered ids would be there once for each figure of a page; nothing refers to them.
    svg = re.sub(r' id="[A-Za-z0-9]+(?:\.[a-z]+)?_\d+"', "", svg)
    width, height = (72 * inches for inches in figure.get_size_inches())
    return Svg(re.sub(r"<svg [^>]*>", f'<svg {_NAMESPACES} viewBox="0 0 {width:g} {height:g}">', svg, count=1))


_NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
