"""What the acts show, in sentences that are computed from them."""

from __future__ import annotations

import numpy as np

from whet.evaluation.demo.comparison import Comparison
from whet.evaluation.demo.inside import NEAR_DUPLICATE, Inside
from whet.evaluation.demo.puzzles import Attempt, Puzzle, Puzzles
from whet.evaluation.demo.reuse import Reuse, mean_seconds
from whet.evaluation.findings import against, verdicts
from whet.evaluation.summary import summarise

_RIGHT = {1: "right with the first attempt", 2: "right with the second attempt", 0: "wrong"}


def comparison_words(comparison: Comparison) -> list[str]:
    """Which methods help, how SIFT compares with the other ways to use the memory, and how much was in it already."""
    methods = [row.method for row in comparison.of("all")]
    sift = next(method for method in methods if method.startswith("sift"))
    rivals = [method for method in methods if method.split("(")[0] in ("nearest", "context")]
    return [
        *verdicts(comparison.of("all")),
        *(against(comparison.records, sift, rival) for rival in rivals),
        f"Of the long lines that were scored, {100 * comparison.known_lines:.1f}% stand word for word in the memory, "
        "where related modules repeat each other.",
    ]


def prompt_words(inside: Inside) -> str:
    """Which text the prompt is from, and why that one."""
    before = {
        0: "",
        1: " Before it one was tried; its adapter was rolled back.",
    }.get(inside.refused, f" Before it {inside.refused} were tried; their adapters were rolled back.")
    rule = "the first, from the middle of the list on, whose adapter the guard lets answer"
    if inside.answer.plan.rung != "adapt":
        rule = "the middle one of the list; no adapter of those around it was let answer either"
    return f"The prompt is the first half of a held-out text, {inside.place}: {rule}.{before}"


def inside_words(inside: Inside) -> list[str]:
    """What the picks leave unknown, what nearest neighbours would have wasted, what the steps did."""
    n = len(inside.answer.picks)
    left = ", ".join(f"{name} {100 * trace[-1]:.1f}%" for name, trace in inside.traces.items())
    distinct = len({pick.example.id for pick in inside.answer.picks})
    passed, near = len(inside.passed_over), len(inside.near_duplicates)
    words = [
        f"Of the query's prior variance, {n} picks leave: {left}. SIFT's picks are {distinct} different examples.",
        f"SIFT passed over {passed} of the {n} nearest neighbours, {near} of them near-duplicates of a pick or "
        f"of a nearer one (cosine of {NEAR_DUPLICATE} or more). In their turn these {passed} would have removed "
        f"{100 * inside.lost:.1f}% of the variance; what SIFT picked from farther away removed "
        f"{100 * inside.elsewhere:.1f}%.",
        *_step_words(inside),
        f"Guard: {inside.answer.guard.status.replace('_', ' ')}, {inside.answer.guard.reason}.",
        f"How the text really goes on takes {inside.bits_before:.3f} bits per byte before and "
        f"{inside.bits_after:.3f} after.",
    ]
    return [*words, *(f"Note: {note}." for note in inside.answer.notes)]


def reuse_words(reuse: Reuse) -> list[str]:
    """How many queries hit, what that saved, and what it cost."""
    hits = sum(reuse.hits)
    words = [
        f"{hits} of {len(reuse.hits)} second queries were answered with the adapter of the first: cosines from "
        f"{min(reuse.cosines):.3f} to {max(reuse.cosines):.3f}, threshold {reuse.threshold:g}."
    ]
    if hits < len(reuse.hits):
        words.append("The others were too far from the first, or its adapter was rolled back: they trained anew.")
    if not hits:
        return words
    fresh, reused = mean_seconds(reuse, "fresh"), mean_seconds(reuse, "reused")
    change = "faster" if reused < fresh else "slower"
    words.append(
        f"A hit took {reused:.2f} s instead of {fresh:.2f} s: {max(fresh, reused) / min(fresh, reused):.1f} times "
        f"{change}."
    )
    words.append(against(reuse.records, "reused", "fresh"))
    return words + verdicts([row for row in summarise(reuse.records) if row.domain == "all"])


def puzzles_words(puzzles: Puzzles) -> list[str]:
    """What is asked, how the tasks came here, and how many were solved; or what is missing."""
    if puzzles.missing:
        return [f"Left out for want of {', '.join(puzzles.missing)}: pip install 'whet[arc]'"]
    count, solved = len(puzzles.puzzles), sum(one.solved for one in puzzles.puzzles)
    return [
        f"{count} tasks of {puzzles.source} ({puzzles.origin}): find the rule of a few pairs of grids and apply it to "
        "another input, in two attempts. Programs are tried first; unless an attempt is then sure enough, a net "
        f"practises on the task. A task has {puzzles.seconds:g} s. The answers were sealed until all was done.",
        "The tasks were chosen for the demo, some that whet had solved and one that it had not; docs/arc.md has the "
        "score over whole sets.",
        f"Solved here: {solved} of {count}, each shown with the attempts up to the right one.",
    ]


def puzzle_words(puzzle: Puzzle) -> str:
    """Whether a task was solved, and in which time."""
    said = [_RIGHT[number] for number in puzzle.right]
    if len(said) > 1:
        said = [f"test input {number} {words}" for number, words in enumerate(said, start=1)]
    info = puzzle.result.info
    seconds = f", {info['seconds']:.1f} s" if "seconds" in info else ""
    return f"{puzzle.task.id}: {', '.join(said)}{seconds}"


def attempt_words(attempt: Attempt) -> str:
    """How sure the solver was of an attempt, and what found it."""
    found = f"; found by {' and '.join(attempt.found)}" if attempt.found else ""
    return f"{attempt.sure:.0%} sure{found}"


def nothing_words(puzzle: Puzzle) -> str:
    """Why there is no attempt."""
    return f"No attempt: {puzzle.result.info.get('problem', 'no way found an answer')}."


def _step_words(inside: Inside) -> list[str]:
    if not inside.steps:
        return []
    before, after = (
        float(np.mean(losses)) for losses in zip(*((s.before, s.after) for s in inside.steps), strict=True)
    )
    fell = sum(step.after < step.before for step in inside.steps)
    return [
        f"{fell} of {len(inside.steps)} steps lowered the loss on their own pick: {before:.3f} bits per byte in the "
        f"mean before the step, {after:.3f} after it."
    ]
