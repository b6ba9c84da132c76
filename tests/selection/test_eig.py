"""Expected information gain against real gradient steps of a torch model, label by label."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from selection_oracle import KINDS, problem

from whet.errors import InputError
from whet.selection import Eig, Predictions, eig

ROWS, CLASSES = 12, 4
SETTINGS = list(product(KINDS, (1, 3), (0.01, 1.0), range(3)))


def classifier(dimensions: int, scale: float, seed: int) -> torch.nn.Linear:
    layer = torch.nn.Linear(dimensions, CLASSES, bias=False, dtype=torch.float64)
    weights = scale * np.random.default_rng(seed).standard_normal((CLASSES, dimensions))
    layer.weight.data = torch.from_numpy(weights)
    return layer


def predictions(layer: torch.nn.Linear, candidates: np.ndarray, query: np.ndarray) -> Predictions:
    with torch.no_grad():
        said = [torch.softmax(layer(torch.from_numpy(rows)), dim=1).numpy() for rows in (candidates, query)]
    return Predictions(*said)


def entropy(layer: torch.nn.Linear, query: np.ndarray) -> float:
    with torch.no_grad():
        return float(torch.distributions.Categorical(logits=layer(torch.from_numpy(query))).entropy().sum())


def reference_gains(layer: torch.nn.Linear, candidates: np.ndarray, query: np.ndarray, rate: float) -> np.ndarray:
    """`(K,)`, with a step of gradient descent from the same weights for each candidate and label."""
    weights = layer.weight.data.clone()
    prior = entropy(layer, query)
    gains = []
    for x in candidates:
        row = torch.from_numpy(x)[None]
        expected = 0.0
        for label in range(CLASSES):
            layer.weight.data = weights.clone()
            chance = float(torch.softmax(layer(row), dim=1)[0, label].detach())
            optimizer = torch.optim.SGD(layer.parameters(), lr=rate)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(layer(row), torch.tensor([label])).backward()
            optimizer.step()
            expected += chance * entropy(layer, query)
        gains.append(prior - expected)
    layer.weight.data = weights
    return np.array(gains)


def gains(selector: Eig, candidates: np.ndarray, query: np.ndarray, said: Predictions) -> np.ndarray:
    return selector.scorer(candidates, query, 1, said).scores()


@pytest.mark.parametrize(("kind", "targets", "rate", "seed"), SETTINGS)
def test_gains_are_those_of_real_gradient_steps(kind: str, targets: int, rate: float, seed: int) -> None:
    candidates, query = problem(kind, ROWS, 6, targets, seed)
    layer = classifier(6, 2.0, seed)
    expected = reference_gains(layer, candidates, query, rate)
    said = predictions(layer, candidates, query)
    np.testing.assert_allclose(gains(Eig(rate=rate), candidates, query, said), expected, atol=1e-13)
    picks = Eig(rate=rate).choose(candidates, query, 5, predictions=said).indices
    np.testing.assert_allclose(expected[picks], np.sort(expected)[::-1][:5], atol=1e-13)


@pytest.mark.parametrize("seed", range(10))
def test_gains_of_large_steps_and_very_sure_classifiers(seed: int) -> None:
    candidates, query = problem("isotropic", ROWS, 6, 2, seed)
    layer = classifier(6, 20.0, seed)
    expected = reference_gains(layer, candidates, query, 50.0)
    found = gains(Eig(rate=50.0), candidates, query, predictions(layer, candidates, query))
    np.testing.assert_allclose(found, expected, atol=1e-11)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1.0, 1e3, -1e3])
def test_certain_predictions_and_endless_steps_give_finite_gains(scale: float) -> None:
    candidates, query = np.eye(4) * 10, np.full((2, 4), scale)
    said = Predictions(np.eye(4), np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0]]))
    assert gains(Eig(), candidates, query, said) == pytest.approx(np.zeros(4), abs=1e-12)
    open_ = Predictions(np.full((4, 4), 0.25), said.targets)
    found = gains(Eig(rate=10.0), candidates, query, open_)
    assert np.isfinite(found).all()
    assert (found <= np.log(2) + 1e-12).all()
    assert (found >= np.log(2) - 2 * np.log(4) - 1e-12).all()


def test_a_candidate_orthogonal_to_the_query_tells_nothing() -> None:
    candidates = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]])
    said = Predictions(np.full((3, 2), 0.5), np.full((1, 2), 0.5))
    choice = Eig(rate=0.5).choose(candidates, np.array([1.0, 0.0]), 3, predictions=said)
    assert choice.indices.tolist() == [1, 0, 2]


def test_the_gain_of_two_even_classes_is_known() -> None:
    # a step moves the two logits apart by rate, whichever the label
    p = 1 / (1 + np.exp(-0.5))
    expected = np.log(2) + p * np.log(p) + (1 - p) * np.log(1 - p)
    said = Predictions(np.full((1, 2), 0.5), np.full((1, 2), 0.5))
    assert gains(Eig(rate=0.5), np.ones((1, 1)), np.ones((1, 1)), said) == pytest.approx([expected], abs=1e-15)


def test_gains_computed_in_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, query = problem("cap", 50, 6, 3, 0)
    said = predictions(classifier(6, 2.0, 0), candidates, query)
    whole = gains(Eig(), candidates, query, said)
    monkeypatch.setattr(eig, "BLOCK", 40)
    assert gains(Eig(), candidates, query, said).tolist() == whole.tolist()


def test_predictions_off_by_rounding_change_gains_little() -> None:
    candidates, query = problem("cap", 50, 6, 3, 0)
    said = predictions(classifier(6, 2.0, 0), candidates, query)
    off = Predictions(said.candidates * 1.0005, said.targets * 0.9995)
    np.testing.assert_allclose(gains(Eig(), candidates, query, off), gains(Eig(), candidates, query, said), atol=1e-15)


def test_equal_candidates_go_by_the_lowest_index() -> None:
    candidates, query = problem("cap", 37, 6, 3, 0)
    said = predictions(classifier(6, 2.0, 0), candidates, query)
    copies = Predictions(np.concatenate([said.candidates] * 3), said.targets)
    picks = Eig().choose(np.concatenate([candidates] * 3), query, 111, predictions=copies).indices
    assert picks.reshape(37, 3).tolist() == [[i, i + 37, i + 74] for i in picks[::3]]


GOOD = np.full((3, 2), 0.5)
BAD = {
    "none": (None, r"predictions=None: eig judges by a classifier"),
    "no targets": (Predictions(GOOD), r"predictions.targets=None: eig judges by what a classifier says of the query"),
    "bad candidates": (Predictions(GOOD * 2, GOOD[:1]), "row 0 of predictions.candidates .* sums to 2"),
    "bad targets": (Predictions(GOOD, GOOD[:1] * 2), "row 0 of predictions.targets .* sums to 2"),
    "targets of another shape": (Predictions(GOOD, GOOD), r"predictions.targets have shape \(3, 2\) for 1 vectors"),
    "other classes": (
        Predictions(GOOD, np.full((1, 4), 0.25)),
        "predictions.targets have 4 classes but predictions.candidates have 2",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_predictions_that_it_cannot_use(case: str) -> None:
    said, message = BAD[case]
    with pytest.raises(InputError, match=message):
        Eig().choose(np.eye(3), np.ones(3), 2, predictions=said)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_a_rate_that_is_not_positive(rate: float) -> None:
    with pytest.raises(InputError, match=f"rate={rate}: give a positive learning rate"):
        Eig(rate=rate)
