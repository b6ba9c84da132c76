"""The page of an ARC run."""

from __future__ import annotations

from pathlib import Path

from whet.evaluation.arc import write_arc_report
from whet.tasks.arc import ArcScore, ArcTask, Pair, TaskResult, TaskScore, as_grid, attempts

ONE, TWO = as_grid([[1]]), as_grid([[2, 2]])
CANDIDATE = {
    "found": "search",
    "program": "flip(<input>)",
    "confidence": [0.81],
    "votes": [11],
    "views": 16,
    "outputs": [[[2, 2]]],
}


def page(tmp_path: Path, marks: tuple[TaskScore, ...] | None) -> str:
    tasks = [ArcTask(name, (Pair(ONE, TWO),), (ONE,)) for name in ("good", "none", "lost", "unasked")]
    results = {
        "good": TaskResult("good", (attempts(TWO),), {"seconds": 1.5, "candidates": [CANDIDATE]}),
        "none": TaskResult("none", (attempts(),), {"seconds": 2.0, "candidates": [], "notes": {"a": "no luck"}}),
        "lost": TaskResult("lost", (attempts(),), {"problem": "its process ended", "candidates": []}),
    }
    score = None if marks is None else ArcScore("x", "x", marks, (), (), ())
    write_arc_report(tmp_path / "report.html", tasks, results, score)
    return (tmp_path / "report.html").read_text()


def test_the_page_tells_what_was_found_and_what_is_right(tmp_path: Path) -> None:
    text = page(tmp_path, tuple(TaskScore(name, (right,)) for name, right in (("good", 1), ("none", 0), ("lost", 0))))
    assert "ARC: 3 tasks" in text
    assert "33.3 (6.1 to 79.2)" in text
    assert "1.5 seconds; test input 1: right with the first attempt." in text
    assert "Candidate 1, by search; 81% sure; votes of views: 11 of 16." in text
    assert "flip(&lt;input&gt;)" in text
    assert "its process ended." in text
    assert "a: no luck." in text
    assert "unasked" not in text


def test_without_a_score_nothing_is_called_right_or_wrong(tmp_path: Path) -> None:
    text = page(tmp_path, None)
    assert "right with" not in text
    assert "wrong" not in text
    assert "solved" not in text


def test_candidates_of_other_solvers_need_not_say_how_sure_they_are(tmp_path: Path) -> None:
    bare = {"found": "mine", "program": "", "outputs": [[[2, 2]]]}
    result = TaskResult("good", (attempts(TWO),), {"candidates": [bare]})
    write_arc_report(tmp_path / "report.html", [ArcTask("good", (Pair(ONE, TWO),), (ONE,))], {"good": result}, None)
    assert "Candidate 1, by mine." in (tmp_path / "report.html").read_text()
