"""The plane of a selection: true coordinates, numbers that can be read, valid SVG."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from selection_oracle import problem, unit_vectors

from whet.evaluation.figures import Svg
from whet.evaluation.selection_figures import plane, selection_plane
from whet.selection import Choice, Constraints, Sift, explain


def texts(svg: Svg) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(part.itertext()).strip() for part in root.iter("{http://www.w3.org/2000/svg}text")]


def test_across_is_the_cosine_and_up_is_the_first_principal_direction_of_the_rest() -> None:
    candidates, query = problem("clustered", 50, 12, 1, 3)
    points, share = plane(3 * candidates, 2 * query[0])
    np.testing.assert_allclose(points[:, 0], candidates @ query[0])
    rest = candidates - np.outer(candidates @ query[0], query[0])
    spread = np.linalg.eigvalsh(np.cov(rest.T))
    assert points[:, 1].var(ddof=1) == pytest.approx(spread[-1])
    assert share == pytest.approx(spread[-1] / spread.sum())
    assert points[:, 1].mean() == pytest.approx(0, abs=1e-12)
    assert points[points[:, 0].argmax(), 1] >= 0


def test_a_single_candidate_has_its_place() -> None:
    points, share = plane(np.array([[1.0, 1.0]]), np.array([1.0, 0.0]))
    assert points.tolist() == [[pytest.approx(np.sqrt(0.5)), 0]]
    assert share == 0


def test_the_picks_are_numbered_in_order_and_repeats_share_a_point() -> None:
    candidates, query = problem("clustered", 50, 12, 1, 3)
    choice = Choice(np.array([4, 7, 4, 9]), np.ones(5), np.ones(4), stopped=False)
    explanation = explain(candidates, query, choice, noise=0.1)
    svg = selection_plane(*plane(candidates, query[0]), explanation, "sift(0.1)")
    shown = texts(svg)
    assert {"1,3", "2", "4", "candidates", "picks", "near, passed over", "cosine to the query"} <= set(shown)
    assert "near, excluded" not in shown
    assert svg == selection_plane(*plane(candidates, query[0]), explanation, "sift(0.1)")


def test_what_is_excluded_is_marked_otherwise() -> None:
    candidates, query = problem("clustered", 50, 12, 1, 3)
    limits = Constraints(near_copy=0.7)
    choice = Sift(0.1).choose(candidates, query, 3, constraints=limits)
    explanation = explain(candidates, query, choice, noise=0.1, constraints=limits)
    assert "near, excluded" in texts(selection_plane(*plane(candidates, query[0]), explanation, "sift(0.1)"))


def test_numbers_of_picks_that_are_close_do_not_cover_one_another() -> None:
    rng = np.random.default_rng(0)
    candidates = unit_vectors(np.array([1.0, 1.0, 0.0]) + 1e-3 * rng.standard_normal((8, 3)))
    candidates = np.concatenate([candidates, unit_vectors(rng.standard_normal((30, 3)))])
    choice = Choice(np.arange(8), np.ones(9), np.ones(8), stopped=False)
    explanation = explain(candidates, np.array([1.0, 0.0, 0.0]), choice, noise=0.1)
    svg = selection_plane(*plane(candidates, np.array([1.0, 0.0, 0.0])), explanation, "sift(0.1)")
    root = ElementTree.fromstring(svg)
    places = {}
    for part in root.iter("{http://www.w3.org/2000/svg}text"):
        label = "".join(part.itertext()).strip()
        if label in set("12345678") and "font-weight: 700" in part.attrib["style"]:
            places[label] = (float(part.attrib["x"]), float(part.attrib["y"]))
    assert len(places) == 8
    spots = np.array(list(places.values()))
    apart = np.abs(spots[:, None] - spots)[np.triu_indices(8, k=1)]
    assert ((apart[:, 0] > 5) | (apart[:, 1] > 8)).all()
