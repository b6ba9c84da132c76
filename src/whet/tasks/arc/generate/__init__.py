"""Tasks that are made up: families of rules, from which a seed draws a rule, and the rule draws pairs.

The families were written from general ideas of what grid puzzles are about (turns, symmetry, gravity, counting, …), not
after the tasks of any test set.
"""

from __future__ import annotations

from whet.tasks.arc.generate import geometry, lines, local, things
from whet.tasks.arc.generate.chains import chain
from whet.tasks.arc.generate.draw import draw_pairs, draw_task
from whet.tasks.arc.generate.scenes import Family, Rule

FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (*geometry.FAMILIES, *local.FAMILIES, *lines.FAMILIES, *things.FAMILIES, chain)
}
"""All families by name."""

__all__ = ["FAMILIES", "Family", "Rule", "draw_pairs", "draw_task"]
