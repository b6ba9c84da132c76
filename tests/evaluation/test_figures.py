"""Figures: valid SVG that follows the page, the same each time, whatever the labels."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from whet.evaluation import Row
from whet.evaluation.figures import (
    Svg,
    loss_steps,
    method_colour,
    percent_dots,
    percent_span,
    seconds_bars,
    variance_lines,
)

ROW = Row("all", "halves", "sift(0.1)", 10, 2.0, 80.0, (75.0, 86.0), -0.5, (-0.6, -0.4), 12, {"train": 1.0})
HOSTILE = ["</svg><script>alert(1)</script>", "$\\frac{1}{$", "a & b < c \"d\" 'e'", "bell \x07 and \x00 nul", ""]


def texts(svg: Svg) -> list[str]:
    """What can be read in the figure; fails unless it is well-formed XML with an svg at its root."""
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "viewBox" in root.attrib
    assert "width" not in root.attrib
    return ["".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")]


def figures(labels: list[str]) -> list[Svg]:
    rows = [ROW] * len(labels)
    return [
        percent_dots(rows, labels, percent_span(rows)),
        seconds_bars({label: {"embed": 0.1, label: 1.0} for label in labels}),
        variance_lines(dict.fromkeys(labels, (1.0, 0.5, 0.4))),
        loss_steps([2.0, 1.5], [1.9, 1.4]),
    ]


@pytest.mark.parametrize("label", HOSTILE)
def test_any_label_gives_valid_svg_and_no_element_of_its_own(label: str) -> None:
    for svg in figures([label]):
        tags = {element.tag for element in ElementTree.fromstring(svg).iter()}
        assert not any("script" in tag for tag in tags)
        texts(svg)


def test_labels_and_values_can_be_read() -> None:
    dots, bars, lines, losses = map(texts, figures(["sift(0.1)", "a $ b $ c"]))
    assert {"sift(0.1)", "a $ b $ c", "80.0", "100"} <= set(dots)
    assert {"embed", "1.10", "seconds per query"} <= set(bars)
    assert {"sift(0.1)", "picks", "posterior variance"} <= set(lines)
    assert {"before the step", "after it"} <= set(losses)


def test_a_figure_is_the_same_each_time_and_nothing_outside_is_changed() -> None:
    before = dict(mpl.rcParams)
    assert figures(["a"]) == figures(["a"])
    assert dict(mpl.rcParams) == before


def test_the_ink_is_that_of_the_page_and_the_ground_is_its_ground() -> None:
    for svg in figures(["a"]):
        assert "currentColor" in svg
        assert "#ffffff" not in svg
        assert "#000000" not in svg


def test_ids_do_not_clash_on_a_page() -> None:
    for svg in figures(["a"]):
        referred = {part.split(")")[0].split('"')[0] for part in svg.replace('href="#', "url(#").split("url(#")[1:]}
        ids = {element.attrib["id"] for element in ElementTree.fromstring(svg).iter() if "id" in element.attrib}
        assert referred <= ids
        assert not any(name.rsplit("_", 1)[-1].isdigit() for name in ids)


def test_a_row_without_interval_is_a_dot() -> None:
    row = replace(ROW, ci95=None)
    assert "80.0" in texts(percent_dots([row], ["one query"], percent_span([row])))


def test_the_axis_holds_the_base_and_all_intervals() -> None:
    low, high = percent_span([ROW, replace(ROW, percent_of_base=130.0, ci95=(120.0, 141.0))])
    assert low < 75
    assert high > 141
    assert percent_span([])[0] < 100 < percent_span([])[1]


def test_a_method_has_one_colour_whatever_its_parameter() -> None:
    assert method_colour("sift(0.1)") == method_colour("sift(0.01)") == method_colour("sift")
    families = ["base", "context", "random", "nearest", "repeat", "sift", "something else"]
    assert len({method_colour(name) for name in families}) == len(families)
