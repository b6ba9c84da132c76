"""The report of an ARC run: the score, and each task with its attempts, their votes and programs, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.evaluation.figures import Svg
from whet.evaluation.page import Block, Gallery, Listing, Picture, Prose, Section, table, write_report
from whet.tasks.arc import ArcScore, ArcTask, TaskResult, TaskScore, as_grid, wilson
from whet.tasks.arc.svg import rows_svg, task_svg

_DRAWN = 6
"""Candidates of a task that are drawn."""
_WORDS = {1: "right with the first attempt", 2: "right with the second attempt", 0: "wrong"}


def write_arc_report(
    path: Path, tasks: Sequence[ArcTask], results: Mapping[str, TaskResult], score: ArcScore | None
) -> None:
    """Write the page, whole or not at all.

    Args:
        path: of the HTML file.
        tasks: what was asked; one without a result is left out.
        results: by task id.
        score: what is right, if it is known.

    Raises:
        StoreError: the page cannot be written.
    """
    answered = [task for task in tasks if task.id in results]
    marks = {mark.id: mark for mark in score.tasks} if score is not None else {}
    sections = [_summary(answered, results, marks)]
    sections += [_task(task, results[task.id], marks.get(task.id)) for task in answered]
    write_report(path, f"ARC: {len(answered):,} tasks", sections)


def _summary(tasks: Sequence[ArcTask], results: Mapping[str, TaskResult], marks: Mapping[str, TaskScore]) -> Section:
    seconds = sum(float(results[task.id].info.get("seconds", 0)) for task in tasks)
    tried = sum(bool(results[task.id].info.get("candidates")) for task in tasks)
    rows = [("tasks", f"{len(tasks):,}"), ("with a candidate", f"{tried:,}")]
    rows.append(("seconds in all", f"{seconds:,.0f}"))
    scored = [task.id for task in tasks if task.id in marks]
    if scored:
        solved = sum(marks[task].solved for task in scored)
        low, high = wilson(solved, len(scored))
        rows.append(("solved with two attempts", f"{solved:,}"))
        rows.append(
            ("%, with a 95 % interval", f"{100 * solved / len(scored):.1f} ({100 * low:.1f} to {100 * high:.1f})")
        )
    by_way = [(way, f"{count:,}") for way, count in _ways(tasks, results, marks).items()]
    blocks: list[Block] = [table(("", "number"), rows)]
    if by_way:
        what = "solved" if scored else "answered"
        blocks.append(table(("way", "tasks"), by_way, caption=f"What found the first attempt of the tasks {what}."))
    return Section("Summary", tuple(blocks))


def _ways(
    tasks: Sequence[ArcTask], results: Mapping[str, TaskResult], marks: Mapping[str, TaskScore]
) -> dict[str, int]:
    """How often each mechanism found the first attempt, of solved tasks if it is known which are."""
    counts: dict[str, int] = {}
    for task in tasks:
        candidates = results[task.id].info.get("candidates")
        if candidates and (task.id not in marks or marks[task.id].solved):
            found = str(candidates[0]["found"])
            counts[found] = counts.get(found, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _task(task: ArcTask, result: TaskResult, mark: TaskScore | None) -> Section:
    candidates: Sequence[Mapping[str, Any]] = result.info.get("candidates", [])
    words = [f"{result.info['seconds']:.1f} seconds"] if "seconds" in result.info else []
    words += [f"test input {n}: {_WORDS[right]}" for n, right in enumerate(mark.right, start=1)] if mark else []
    words += [str(result.info["problem"])] if "problem" in result.info else []
    pictures = [Picture(Svg(task_svg(task)), "The task.")]
    for rank, candidate in enumerate(candidates[:_DRAWN], start=1):
        outputs = [as_grid(grid) for grid in candidate["outputs"]]
        rows = [(f"test output {n}", (grid,)) for n, grid in enumerate(outputs, start=1)]
        caption = f"Candidate {rank}, by {candidate['found']}{_standing(candidate)}."
        pictures.append(Picture(Svg(rows_svg(rows)), caption))
    blocks: list[Block] = [Prose("; ".join(words) + ".")] if words else []
    blocks.append(Gallery(tuple(pictures)))
    if not candidates:
        blocks.append(Prose("No way found an answer; the attempts are empty."))
    blocks += [Prose(f"{way}: {note}.") for way, note in result.info.get("notes", {}).items()]
    blocks += [
        Listing(candidate["program"], f"The program of candidate {rank}.")
        for rank, candidate in enumerate(candidates[:_DRAWN], start=1)
        if candidate["program"]
    ]
    return Section(task.id, tuple(blocks))


def _standing(candidate: Mapping[str, Any]) -> str:
    """How sure its way is of a candidate, and the votes for it; results of other solvers need not say."""
    sure = ", ".join(f"{p:.0%}" for p in candidate.get("confidence", ()))
    votes = ", ".join(f"{count} of {candidate['views']}" for count in candidate.get("votes", ()))
    return (f"; {sure} sure" if sure else "") + (f"; votes of views: {votes}" if votes else "")
