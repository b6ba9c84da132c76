"""MinMargin, MaxEntropy and LeastConfidence, and what is refused as predictions."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch

from whet.errors import InputError
from whet.selection import LeastConfidence, MaxEntropy, MinMargin, Predictions
from whet.selection.criteria import OrderSelector

CRITERIA: dict[str, type[OrderSelector]] = {
    "min-margin": MinMargin,
    "max-entropy": MaxEntropy,
    "least-confidence": LeastConfidence,
}
ROWS = 30
CANDIDATES, QUERY = np.eye(ROWS) + 0.1, np.ones(ROWS)


def softmax_rows(classes: int, sharpness: float, seed: int) -> np.ndarray:
    logits = sharpness * np.random.default_rng(seed).standard_normal((ROWS, classes))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def reference_score(name: str, row: list[float]) -> float:
    """Larger for what is to be taken first."""
    ranked = sorted(row)
    if name == "min-margin":
        return -(ranked[-1] - ranked[-2])
    if name == "max-entropy":
        return -sum(p * math.log(p) for p in row if p > 0)
    return -ranked[-1]


def choose(name: str, predictions: object) -> list[int]:
    said = Predictions(predictions)
    return CRITERIA[name]().choose(CANDIDATES, QUERY, ROWS, predictions=said).indices.tolist()


@pytest.mark.parametrize(("name", "classes", "sharpness"), product(CRITERIA, (2, 3, 10, 50), (0.1, 1.0, 5.0)))
@pytest.mark.parametrize("seed", range(4))
def test_same_order_as_the_definition(name: str, classes: int, sharpness: float, seed: int) -> None:
    said = softmax_rows(classes, sharpness, seed)
    scores = [round(reference_score(name, row), 13) for row in said.tolist()]
    picks = choose(name, said)
    assert [scores[i] for i in picks] == pytest.approx(sorted(scores, reverse=True), abs=1e-12)
    assert sorted(picks) == list(range(ROWS))


def test_the_three_differ_where_they_should() -> None:
    said = np.tile([1.0, 0.0, 0.0, 0.0], (ROWS, 1))
    said[3] = [0.5, 0.5, 0.0, 0.0]  # the smallest margin
    said[5] = [0.55, 0.15, 0.15, 0.15]  # the largest entropy
    said[7] = [0.45, 0.35, 0.2, 0.0]  # the least confidence
    assert [choose(name, said)[0] for name in CRITERIA] == [3, 5, 7]


@pytest.mark.parametrize("name", CRITERIA)
def test_equal_predictions_go_by_the_lowest_index(name: str) -> None:
    assert choose(name, np.tile([0.2, 0.3, 0.5], (ROWS, 1))) == list(range(ROWS))


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("kind", ["float32", "torch", "half"])
def test_takes_other_kinds_of_arrays(name: str, kind: str) -> None:
    said = softmax_rows(5, 1.0, 0).astype(np.float16).astype(np.float64)
    said[0] = said[1:].mean(axis=0)  # sums to 1 within half precision
    given = {"float32": said.astype(np.float32), "torch": torch.from_numpy(said), "half": torch.from_numpy(said).half()}
    assert choose(name, given[kind])[:5] == choose(name, said)[:5]


def spoilt(row: int, values: list[float]) -> np.ndarray:
    said = np.tile([0.2, 0.3, 0.5], (ROWS, 1))
    said[row] = values
    return said


BAD = {
    "NaN": (spoilt(4, [0.5, 0.5, np.nan]), r"row 4 of predictions.candidates is \[0.5 0.5 nan\] and sums to nan"),
    "infinity": (spoilt(4, [0.5, 0.5, np.inf]), "row 4 of predictions.candidates .* sums to inf"),
    "negative": (spoilt(2, [-0.1, 0.5, 0.6]), r"row 2 of predictions.candidates is \[-0.1  0.5  0.6\]"),
    "logits": (spoilt(0, [3.0, 1.0, 2.0]), "row 0 .* sums to 6: give probabilities, .* softmax"),
    "just off": (spoilt(9, [0.2, 0.3, 0.498]), "row 9 .* sums to 0.998"),
    "too few rows": (spoilt(0, [0.2, 0.3, 0.5])[:7], r"shape \(7, 3\) for 30 vectors: give a row"),
    "one class": (np.ones((ROWS, 1)), r"shape \(30, 1\) for 30 vectors: .* at least two classes"),
    "one row": (np.ones(ROWS) / ROWS, r"shape \(30,\) for 30 vectors"),
    "a list": ([[0.5, 0.5]] * ROWS, "a list is neither a NumPy array nor a torch tensor"),
}


@pytest.mark.parametrize(("name", "case"), product(CRITERIA, BAD))
@pytest.mark.filterwarnings("error")
def test_refuses_what_are_no_probabilities(name: str, case: str) -> None:
    said, message = BAD[case]
    with pytest.raises(InputError, match=message):
        choose(name, said)


@pytest.mark.parametrize("name", CRITERIA)
def test_refuses_to_choose_without_predictions(name: str) -> None:
    with pytest.raises(InputError, match=rf"predictions=None: {name} judges by a classifier; give Predictions\("):
        CRITERIA[name]().choose(CANDIDATES, QUERY, 3)


@pytest.mark.parametrize(
    ("name", "module", "peer"),
    [
        ("min-margin", "min_margin", "MinMargin"),
        ("max-entropy", "max_entropy", "MaxEntropy"),
        ("least-confidence", "least_confidence", "LeastConfidence"),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_same_picks_as_activeft(name: str, module: str, peer: str, seed: int) -> None:
    theirs = getattr(pytest.importorskip(f"activeft.acquisition_functions.{module}"), peer)()
    said = softmax_rows(6, 1.0, seed)
    model = torch.nn.Linear(1, 1)  # only asked for its device and mode
    model.forward = torch.log
    scores = theirs.compute(model, torch.from_numpy(said))
    assert choose(name, said) == scores.argsort(descending=True, stable=True).tolist()
