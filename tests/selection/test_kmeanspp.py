"""k-means++ and BADGE: how often each candidate is drawn, against the exact probabilities."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy.stats import chisquare
from selection_oracle import KINDS, problem

from whet.errors import InputError
from whet.selection import Badge, Constraints, KMeansPlusPlus, Predictions
from whet.selection.coreset import DistanceToPicks
from whet.selection.kmeanspp import race

SETTINGS = list(product(KINDS, range(10)))


def softmax_rows(rows: int, classes: int, seed: int) -> np.ndarray:
    logits = 2 * np.random.default_rng(seed).standard_normal((rows, classes))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def gradients(candidates: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """`(K, classes * d)`: of each cross-entropy with the most probable label, in full."""
    rows = []
    for x, p in zip(candidates, predictions, strict=True):
        error = p.copy()
        error[int(np.argmax(p))] -= 1
        rows.append(np.outer(error, x).reshape(-1))
    return np.array(rows)


def squared_distances(rows: np.ndarray, picks: list[int]) -> np.ndarray:
    """Of every row to the nearest pick."""
    return np.array([min(float(np.square(x - rows[j]).sum()) for j in picks) for x in rows])


def probability(rows: np.ndarray, picks: tuple[int, ...], first: np.ndarray) -> float:
    """That these are drawn in this order, when `first` are the probabilities of the first."""
    total = float(first[picks[0]])
    for i in range(1, len(picks)):
        weights = squared_distances(rows, list(picks[:i]))
        total *= weights[picks[i]] / weights.sum()
    return total


def assert_drawn_by(rows: np.ndarray, first: np.ndarray, drawn: list[tuple[int, ...]]) -> None:
    outcomes = [p for p in permutations(range(len(rows)), len(drawn[0])) if probability(rows, p, first) > 0]
    expected = np.array([probability(rows, p, first) for p in outcomes])
    assert expected.sum() == pytest.approx(1)
    counts = np.array([drawn.count(p) for p in outcomes])
    assert counts.sum() == len(drawn)
    assert chisquare(counts, expected / expected.sum() * len(drawn)).pvalue > 0.01


LINE = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 3.0], [2.0, 0.5]])


def test_draws_three_in_proportion_to_squared_distances() -> None:
    drawn = [tuple(KMeansPlusPlus(seed=s).choose(LINE, np.ones(2), 3).indices.tolist()) for s in range(3000)]
    assert_drawn_by(LINE, np.full(4, 1 / 4), drawn)


def test_draws_among_what_the_constraints_allow() -> None:
    limits = Constraints(exclude=[2])
    drawn = [
        tuple(KMeansPlusPlus(seed=s).choose(LINE, np.ones(2), 2, constraints=limits).indices.tolist())
        for s in range(2000)
    ]
    places = {0: 0, 1: 1, 3: 2}
    assert_drawn_by(LINE[[0, 1, 3]], np.full(3, 1 / 3), [tuple(places[i] for i in picks) for picks in drawn])


def test_badge_draws_in_proportion_to_squared_distances_of_gradients_after_the_longest() -> None:
    said = softmax_rows(4, 3, 0)
    rows = gradients(LINE, said)
    first = np.eye(4)[np.square(rows).sum(axis=1).argmax()]
    predictions = Predictions(said)
    drawn = [
        tuple(Badge(seed=s).choose(LINE, np.ones(2), 3, predictions=predictions).indices.tolist()) for s in range(2000)
    ]
    assert_drawn_by(rows, first, drawn)


def test_a_race_is_won_in_proportion_to_the_weights() -> None:
    rng = np.random.default_rng(0)
    weights = np.array([0.0, 1.0, 1e-3, 5.0, 2.0])
    wins = np.bincount([int(race(weights, rng).argmax()) for _ in range(5000)], minlength=5)
    assert wins[0] == 0
    assert chisquare(wins[1:], weights[1:] / weights.sum() * 5000).pvalue > 0.01


@pytest.mark.parametrize(("kind", "seed"), SETTINGS)
def test_distances_are_those_of_the_definition(kind: str, seed: int) -> None:
    candidates, _ = problem(kind, 20, 6, 1, seed)
    distance = DistanceToPicks(candidates)
    picks = np.random.default_rng(seed).permutation(20)[:6].tolist()
    for i, pick in enumerate(picks):
        distance.take(pick)
        np.testing.assert_allclose(distance.squared, squared_distances(candidates, picks[: i + 1]), atol=1e-14)


@pytest.mark.parametrize(("kind", "seed"), SETTINGS)
def test_distances_of_gradients_need_no_gradients(kind: str, seed: int) -> None:
    candidates, _ = problem(kind, 20, 6, 1, seed)
    said = softmax_rows(20, 4, seed)
    rows = gradients(candidates, said)
    errors = said - np.eye(4)[said.argmax(axis=1)]
    distance = DistanceToPicks(errors, candidates)
    np.testing.assert_allclose(distance.lengths, np.square(rows).sum(axis=1), atol=1e-14)
    picks = np.random.default_rng(seed).permutation(20)[:6].tolist()
    for i, pick in enumerate(picks):
        distance.take(pick)
        np.testing.assert_allclose(distance.squared, squared_distances(rows, picks[: i + 1]), atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("selector", [KMeansPlusPlus(), Badge()])
def test_copies_come_last_and_by_index(selector: KMeansPlusPlus, dtype: type) -> None:
    rows, query = problem("isotropic", 6, 12, 1, 0)
    candidates = np.concatenate([rows, rows, rows]).astype(dtype)
    predictions = Predictions(np.concatenate([softmax_rows(6, 3, 1)] * 3))
    picks = selector.choose(candidates, query.astype(dtype), 18, predictions=predictions).indices.tolist()
    assert {pick % 6 for pick in picks[:6]} == set(range(6))
    assert picks[6:] == sorted(picks[6:])


@pytest.mark.parametrize("selector", [KMeansPlusPlus, Badge])
def test_the_same_seed_and_query_draw_the_same_and_others_do_not(selector: type[KMeansPlusPlus]) -> None:
    candidates, query = problem("cap", 100, 16, 2, 0)
    predictions = Predictions(softmax_rows(100, 5, 0))

    def draw(seed: int, row: int) -> tuple[int, ...]:
        picks = selector(seed=seed).choose(candidates, query[row], 20, predictions=predictions)
        return tuple(picks.indices.tolist())

    assert draw(0, 0) == draw(0, 0)
    assert len({draw(seed, row) for seed in (0, 1) for row in (0, 1)}) == 4


@pytest.mark.parametrize("selector", [KMeansPlusPlus, Badge])
def test_a_shorter_selection_is_the_beginning_of_a_longer_one(selector: type[KMeansPlusPlus]) -> None:
    candidates, query = problem("clustered", 50, 16, 1, 0)
    predictions = Predictions(softmax_rows(50, 5, 0))
    long, short = (selector().choose(candidates, query, n, predictions=predictions).indices.tolist() for n in (20, 7))
    assert short == long[:7]


def test_gradients_are_those_of_activeft() -> None:
    torch = pytest.importorskip("torch")
    classification = pytest.importorskip("activeft.embeddings.classification")
    candidates, _ = problem("cap", 30, 8, 1, 0)
    said = softmax_rows(30, 5, 0)

    class Classifier(torch.nn.Module, classification.HallucinatedCrossEntropyEmbedding):
        final_layer = torch.nn.Linear(8, 5, bias=False)

        def forward(self, _: object) -> object:
            return torch.from_numpy(said)

        def predict(self, _: object) -> object:
            return torch.from_numpy(said.argmax(axis=1))

        def logits(self, x: object) -> object:
            return x

    theirs = Classifier().embed(torch.from_numpy(candidates)).numpy()
    np.testing.assert_allclose(theirs, gradients(candidates, said), atol=1e-15)


@pytest.mark.parametrize("selector", [KMeansPlusPlus, Badge])
def test_refuses_a_negative_seed(selector: type[KMeansPlusPlus]) -> None:
    with pytest.raises(InputError, match="seed=-1"):
        selector(seed=-1)


def test_badge_refuses_to_choose_without_predictions() -> None:
    with pytest.raises(InputError, match=r"predictions=None: badge judges by a classifier"):
        Badge().choose(LINE, np.ones(2), 2)
