"""What the three acts show, in sentences that are computed from them."""

from __future__ import annotations

import numpy as np

from whet.evaluation.demo.comparison import Comparison
from whet.evaluation.demo.inside import NEAR_DUPLICATE, Inside
from whet.evaluation.demo.reuse import Reuse, mean_seconds
from whet.evaluation.findings import against, verdicts
from whet.evaluation.summary import summarise


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
