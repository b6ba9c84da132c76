"""Views of a task for a model that reads token by token: a symmetry, colours, and an order of the demonstrations."""

from __future__ import annotations

import numpy as np

from whet.tasks.arc.views import DIHEDRAL, View, random_colours, random_order

BACKGROUND_KEPT = 0.8
"""In how many of the views to learn in 0 stays 0."""


def random_view(rng: np.random.Generator, demonstrations: int) -> View:
    """Any symmetry, any colours, any order of so many demonstrations."""
    symmetry = DIHEDRAL[int(rng.integers(len(DIHEDRAL)))]
    found = symmetry.then(random_colours(rng, keep_background=bool(rng.random() < BACKGROUND_KEPT)))
    return found.then(random_order(rng, demonstrations)) if demonstrations else found


def answering_views(count: int, demonstrations: int, *, seed: int) -> list[tuple[str, View]]:
    """So many views, each after the key of its symmetry: the eight in turn.

    The first eight show the colours and the order as they are, the later ones others, with 0 kept.
    """
    rng = np.random.default_rng(seed)
    found = [(symmetry.key, symmetry) for symmetry in DIHEDRAL[:count]]
    while len(found) < count:
        symmetry = DIHEDRAL[len(found) % len(DIHEDRAL)]
        found.append((symmetry.key, symmetry.then(random_colours(rng)).then(random_order(rng, demonstrations))))
    return found
