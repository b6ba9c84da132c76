from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from whet.adaptation import FullConfig
from whet.errors import InputError
from whet.models import LanguageModel
from whet.tasks.arc import ArcTask, Pair, TaskResult, append_result, as_grid, read_results
from whet.tasks.arc.language import VOTES, Answering, CellTokens, Reading, answer, answer_practised, digits
from whet.tasks.arc.submission import NO_ATTEMPT
from whet.tasks.arc.transduction.practice import Practice

A, B, C = (as_grid([[n]]) for n in (1, 2, 3))


def lists(result: TaskResult) -> list[list[list[list[int]]]]:
    return [[grid.tolist() for grid in tried] for tried in result.attempts]


def test_the_votes_differ_as_they_should() -> None:
    reading = Reading(
        symmetries=("identity", "identity", "identity", "rot90", "fliplr"),
        best=(A, A, A, B, B),
        candidates=(A, B, C),
        scores=((-0.1, -0.1, -0.1, -9.0, -9.0), (-4.0, -4.0, -4.0, -0.5, -0.5), (-2.0,) * 5),
        complete=True,
    )
    votes = {name: [grid.item() for grid in choose(reading)] for name, choose in VOTES.items()}
    # together: A, B, A; identity: A, A, A; rot90 and fliplr: B, B, B each. So B has 7 votes and A has 5.
    assert votes == {"flat": [1, 2], "hierarchical": [2, 1], "product": [3, 2]}


def test_an_empty_reading_has_no_votes() -> None:
    nothing = Reading(("identity", "rot90"), (None, None), (), (), True)
    assert [choose(nothing) for choose in VOTES.values()] == [[], [], []]


@pytest.mark.parametrize("vote", VOTES)
def test_a_task_is_answered_end_to_end_and_alike_each_time(
    model: LanguageModel, serialisation: CellTokens, task: ArcTask, vote: str, tmp_path: object
) -> None:
    how = Answering(views=2, above=3e-3, max_nodes=300)
    one, again = (answer(model, serialisation, task, how, vote=vote) for _ in range(2))
    assert one.id == task.id
    assert lists(one) == lists(again)
    assert len(one.attempts) == len(task.test)
    assert all(count > 0 for count in one.info["counts"])
    path = tmp_path / "results.jsonl"  # type: ignore[operator]
    append_result(path, one)
    assert lists(read_results(path)[task.id]) == lists(one)


def test_what_was_not_found_is_no_attempt(model: LanguageModel, serialisation: CellTokens, task: ArcTask) -> None:
    result = answer(model, serialisation, task, Answering(views=1, above=0.99))
    assert all(np.array_equal(grid, NO_ATTEMPT) for tried in result.attempts for grid in tried)


@pytest.fixture
def constant() -> list[ArcTask]:
    """Two tasks whose output is always the same, and another one in each."""
    rng = np.random.default_rng(0)
    inputs = [as_grid(rng.integers(0, 10, (2, 2))) for _ in range(5)]
    outputs = [as_grid([[3, 1, 4]]), as_grid([[2], [7]])]
    return [ArcTask(str(i), tuple(Pair(x, out) for x in inputs[:4]), (inputs[4],)) for i, out in enumerate(outputs)]


def test_practice_teaches_each_task_its_own_answer(
    model: LanguageModel, serialisation: CellTokens, constant: list[ArcTask]
) -> None:
    practice = Practice(steps=60, episodes=4, lr=1e-2, views=False)
    how = Answering(views=1)
    single = replace(constant[0], id="single", train=constant[0].train[:1])
    tasks = [constant[0], single, constant[1]]
    found = list(answer_practised(model, serialisation, tasks, practice, how, form=FullConfig(), together=2))
    assert [result.id for result in found] == ["0", "single", "1"]
    assert np.array_equal(found[0].attempts[0][0], constant[0].train[0].output)
    assert np.array_equal(found[2].attempts[0][0], constant[1].train[0].output)
    assert lists(found[1]) == lists(answer(model, serialisation, single, how))
    assert lists(answer(model, serialisation, constant[0], how)) != lists(found[0])


def test_a_vote_that_there_is_not_is_refused(model: LanguageModel, serialisation: CellTokens, task: ArcTask) -> None:
    with pytest.raises(InputError, match="'loud'"):
        answer(model, serialisation, task, vote="loud")


def test_a_model_with_a_tokenizer_of_its_own_answers_in_digits(
    tiny_llama: LanguageModel, constant: list[ArcTask]
) -> None:
    tasks = [replace(task, train=task.train[:3]) for task in constant]
    practice = Practice(steps=60, episodes=2, lr=1e-2, views=False)
    found = answer_practised(
        tiny_llama, digits(tiny_llama.tokenizer), tasks, practice, Answering(views=1), form=FullConfig()
    )
    for result, task in zip(found, tasks, strict=True):
        assert np.array_equal(result.attempts[0][0], task.train[0].output)
