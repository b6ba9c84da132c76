from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from whet.decoding.depth_first import DepthFirst
from whet.errors import InputError
from whet.models import LanguageModel
from whet.programs.limits import Meter
from whet.tasks.arc import ArcTask, Pair, as_grid
from whet.tasks.arc.language import Answering, CellTokens, Reading, read
from whet.tasks.arc.language.looking import answering_views

HOW = Answering(views=3, above=3e-3, max_nodes=400)


def naive(model: LanguageModel, prompt: list[int], ids: list[int]) -> float:
    """Log probability by one pass from the start."""
    with torch.no_grad():
        table = model.module(torch.tensor([[*prompt, *ids]]), use_cache=False).logits[0].log_softmax(-1)
    return sum(float(table[len(prompt) - 1 + place, token]) for place, token in enumerate(ids))


@pytest.fixture(scope="module")
def readings(model: LanguageModel, serialisation: CellTokens, task: ArcTask) -> list[Reading]:
    return read(model, serialisation, task, HOW)


def test_candidates_are_scored_in_every_view_as_that_view_has_them(
    model: LanguageModel, serialisation: CellTokens, task: ArcTask, readings: list[Reading]
) -> None:
    views = answering_views(HOW.views, 4, seed=HOW.seed)
    assert len(readings) == 2
    for reading, grid in zip(readings, task.test, strict=True):
        assert reading.symmetries == tuple(symmetry for symmetry, _ in views)
        assert len(reading.candidates) > 2
        for candidate, scores in zip(reading.candidates[:4], reading.scores, strict=False):
            for (_, view), score in zip(views, scores, strict=True):
                prompt = serialisation.prompt(view.task(task).train, view.grid(grid))
                wanted = naive(model, prompt, serialisation.answer(view.grid(candidate)))
                assert math.isclose(score, wanted, abs_tol=1e-9)


def test_each_candidate_is_likely_enough_in_a_view_and_the_best_of_a_view_is_the_likeliest_there(
    readings: list[Reading],
) -> None:
    for reading in readings:
        assert reading.complete
        scores = np.array(reading.scores)
        assert (scores.max(axis=1) > math.log(HOW.above)).all()
        assert len({grid.tobytes() + bytes(grid.shape) for grid in reading.candidates}) == len(reading.candidates)
        for column, best in zip(scores.T, reading.best, strict=True):
            likely = column > math.log(HOW.above)
            assert (best is None) == (not likely.any())
            if best is not None:
                assert np.array_equal(best, reading.candidates[int(column.argmax())])


def test_where_nothing_is_likely_there_is_no_candidate(
    model: LanguageModel, serialisation: CellTokens, task: ArcTask
) -> None:
    reading = read(model, serialisation, task, Answering(views=2, above=0.99))[0]
    assert (reading.best, reading.candidates, reading.scores) == ((None, None), (), ())
    assert reading.complete
    assert not read(model, serialisation, task, Answering(views=2, above=1e-4, max_nodes=3))[0].complete


def test_a_task_longer_than_the_context_loses_its_first_demonstrations(
    model: LanguageModel, serialisation: CellTokens, task: ArcTask
) -> None:
    long = replace(task, train=task.train * 8, test=task.test[:1])
    how = Answering(views=1, above=3e-3)
    room = model.context + 1 - len(serialisation.answer(task.test[0]))
    kept = next(n for n in range(33) if len(serialisation.prompt(long.train[n:], task.test[0])) <= room)
    short = replace(long, train=long.train[kept:])
    assert 0 < kept < 32
    one, other = read(model, serialisation, long, how)[0], read(model, serialisation, short, how)[0]
    assert [grid.tolist() for grid in one.candidates] == [grid.tolist() for grid in other.candidates]
    assert one.scores == other.scores


def test_a_test_input_longer_than_the_context_is_refused(model: LanguageModel, serialisation: CellTokens) -> None:
    huge = as_grid(np.zeros((20, 20), int))
    with pytest.raises(InputError, match="context"):
        read(model, serialisation, ArcTask("huge", (Pair(huge, huge),), (huge,)), HOW)


def test_a_view_that_is_not_searched_in_time_has_no_best_grid(
    model: LanguageModel,
    serialisation: CellTokens,
    task: ArcTask,
    readings: list[Reading],
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = DepthFirst.search

    def of_a_second(self: DepthFirst, *asked: Any, **more: Any) -> Any:
        found = search(self, *asked, **more)
        clock.now += found.nodes > 0
        return found

    monkeypatch.setattr(DepthFirst, "search", of_a_second)
    seconds = 2 * 1.5 / 0.6  # two test inputs, and of the time for each 1.5 seconds to search
    for short, ample in zip(read(model, serialisation, task, HOW, Meter(seconds, clock)), readings, strict=True):
        assert not short.complete
        count = len(short.candidates)
        assert 0 < count < len(ample.candidates)
        for one, other in zip(short.candidates, ample.candidates, strict=False):
            assert np.array_equal(one, other)
        np.testing.assert_allclose(short.scores, ample.scores[:count], atol=1e-9)  # in the third view too
        assert short.best[2] is None
        assert [short.votes(grid) for grid in short.candidates] == [
            sum(best is not None and np.array_equal(best, grid) for best in ample.best[:2]) for grid in short.candidates
        ]


def test_views_that_are_not_scored_in_time_have_no_scores(
    model: LanguageModel,
    serialisation: CellTokens,
    task: ArcTask,
    readings: list[Reading],
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    score = DepthFirst.log_probability

    def of_a_second(self: DepthFirst, *asked: Any) -> float:
        clock.now += 1
        return score(self, *asked)

    monkeypatch.setattr(DepthFirst, "log_probability", of_a_second)
    lone = replace(task, test=task.test[:1])
    for seconds, views in ((1e6, 3), (0.5, 0)):
        (found,) = read(model, serialisation, lone, HOW, Meter(seconds, clock))
        assert found.complete == (views == 3)
        assert [len(row) for row in found.scores] == [views] * len(readings[0].candidates)
        assert all(np.array_equal(a, b) for a, b in zip(found.candidates, readings[0].candidates, strict=True))


def test_without_time_nothing_is_read(
    model: LanguageModel, serialisation: CellTokens, task: ArcTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DepthFirst, "_read", None)  # no pass is made
    for reading in read(model, serialisation, task, HOW, Meter(-1.0)):
        assert (reading.best, reading.candidates, reading.complete) == ((None,) * 3, (), False)


class Wrong(CellTokens):
    """Finds no grid in anything."""

    def parse(self, ids: Any) -> Any:
        raise InputError(f"{ids}")


def test_what_is_no_grid_is_no_candidate(model: LanguageModel, serialisation: CellTokens, task: ArcTask) -> None:
    reading = read(model, Wrong(**vars(serialisation)), task, Answering(views=1, above=1e-2))[0]
    assert reading.candidates == ()


def test_views_take_the_symmetries_in_turn_and_differ() -> None:
    views = answering_views(20, 3, seed=0)
    assert [symmetry for symmetry, _ in views[:8]] == [view.key for _, view in views[:8]]
    assert [symmetry for symmetry, _ in views[8:16]] == [symmetry for symmetry, _ in views[:8]]
    assert len({view.key for _, view in views}) == 20
    assert views == answering_views(20, 3, seed=0)
    assert views[8:] != answering_views(20, 3, seed=1)[8:]
    with pytest.raises(InputError, match="views=0"):
        Answering(views=0)
