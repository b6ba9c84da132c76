"""The way with a model that is known to the last weight: whatever it is asked, it writes a 3 and ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arc_models import save_writer

from whet.errors import InputError
from whet.models import LanguageModel
from whet.programs.limits import Meter
from whet.tasks.arc import ArcTask, Pair, as_grid
from whet.tasks.arc.confidence import AGREED
from whet.tasks.arc.language import choose
from whet.tasks.arc.language.looking import answering_views
from whet.tasks.arc.solve import solve
from whet.tasks.arc.ways import WAYS, Settings

GRIDS = [as_grid([[n, n + 1]]) for n in range(5)]
TASK = ArcTask("three", tuple(Pair(grid, as_grid([[3]])) for grid in GRIDS[:3]), tuple(GRIDS[3:]))


def writes_three(folder: Path, *, context: int = 128, certain: float = 8.0) -> str:
    return str(save_writer(folder, 3, context=context, certain=certain))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(ways=("language",), model=choose(writes_three(tmp_path_factory.mktemp("model"))), views=10)


def told(task: ArcTask, settings: Settings, seconds: float = 1e6) -> list[Any]:
    (findings,) = WAYS["language"](task, settings, Meter(seconds))
    return findings.candidates


def test_a_candidate_has_the_votes_of_the_views_that_find_it_likeliest(settings: Settings) -> None:
    first, second = told(TASK, settings)
    assert [grid.tolist() for grid in first.outputs] == [[[3]], [[3]]]
    # a view in which the colours are others and 3 is a 5 finds 5 likeliest: it writes a 3, and that is a 5
    votes = [int(view.inverse.grid(as_grid([[3]]))[0, 0]) for _, view in answering_views(10, 3, seed=0)]
    assert 8 <= votes.count(3) < 10
    assert first.votes == (votes.count(3),) * 2
    assert first.confidence == pytest.approx((votes.count(3) / 10 * AGREED,) * 2)
    assert second.votes == (1, 1)
    assert first.views == second.views == 10
    assert first.found == "language model, 40 steps of practice"
    assert first.cost is None
    assert not first.program


def test_a_single_demonstration_is_answered_without_practice(settings: Settings) -> None:
    first, *_ = told(replace(TASK, train=TASK.train[:1]), settings)
    assert first.outputs[0].tolist() == [[3]]
    assert first.found == "language model, 0 steps of practice"


@pytest.mark.parametrize("seconds", [0.0, 1e-9])
def test_without_time_for_a_pass_there_is_no_candidate(settings: Settings, seconds: float) -> None:
    assert not told(TASK, settings, seconds)


def test_a_model_that_is_sure_of_nothing_has_no_candidate(tmp_path: Path) -> None:
    model = choose(writes_three(tmp_path, certain=0.0))
    task = replace(TASK, train=TASK.train[:1])
    assert told(task, Settings(ways=("language",), model=model, views=2)) == []


def test_a_test_input_that_has_an_answer_keeps_it_where_another_has_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whet.tasks.arc.language import in_time

    def read_one(*asked: Any) -> Any:
        first, second = read(*asked)
        return [first, replace(second, best=(None,) * len(second.best), candidates=(), scores=())]

    read = in_time.read
    monkeypatch.setattr(in_time, "read", read_one)
    first, *_ = told(TASK, settings)
    assert first.votes[0] >= 8
    assert (first.votes[1], first.confidence[1]) == (0, 0)
    result = solve(TASK, 1000, settings)
    assert result.attempts[0][0].tolist() == [[3]]
    assert result.attempts[1][0].tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("trouble", ["long", "diverged"])
def test_what_stops_the_model_leaves_the_task_what_other_ways_found(tmp_path: Path, trouble: str) -> None:
    row = np.arange(8)[None]
    flip = tuple(Pair(as_grid(row + n), as_grid((row + n)[:, ::-1])) for n in range(2))
    task = ArcTask("flip", flip, (as_grid(row[:, ::2]),))
    certain, context = (8.0, 8) if trouble == "long" else (float("nan"), 128)
    model = choose(writes_three(tmp_path, context=context, certain=certain))
    result = solve(task, 100, Settings(ways=("language", "induction"), model=model, views=2))
    assert result.attempts[0][0].tolist() == [[6, 4, 2, 0]]
    assert set(result.info["spent"]) == {"language", "induction"}
    assert all(one["program"] for one in result.info["candidates"])
    json.dumps(dict(result.info))


def test_a_model_must_be_named() -> None:
    with pytest.raises(InputError, match="needs a model"):
        told(TASK, Settings(ways=("language",)))


def test_what_a_result_depends_on_names_the_model_its_weights_and_the_serialisation(
    settings: Settings, tmp_path: Path
) -> None:
    assert settings.model is not None
    words = settings.words(60)
    assert settings.model.name in words
    assert LanguageModel.from_pretrained(settings.model.name).fingerprint[:8] in words
    assert words.endswith("in minimal")
    other = choose(writes_three(tmp_path, certain=7.0))
    assert replace(settings, model=replace(other, name=settings.model.name)).words(60) != words
    assert "model" not in replace(settings, ways=("induction",)).words(60)
