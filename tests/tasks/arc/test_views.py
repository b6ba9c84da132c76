from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from whet.errors import InputError
from whet.tasks.arc import ArcTask, Episode, Grid, Pair, as_grid
from whet.tasks.arc.views import DIHEDRAL, ENLARGING, View, colours, order, random_colours, random_order

shapes = st.tuples(st.integers(1, 30), st.integers(1, 30))
grids = arrays(np.uint8, shapes, elements=st.integers(0, 9)).map(as_grid)
rigid = st.sampled_from(["rot90", "rot180", "rot270", "fliplr", "flipud", "transpose"]).map(View)
rolls = st.tuples(st.integers(-40, 40), st.integers(-40, 40)).map(lambda by: View(f"roll{by[0]}x{by[1]}"))
permuted = st.permutations(range(10)).map(lambda p: colours(tuple(p)))
ordered = st.permutations(range(3)).map(lambda p: order(tuple(p)))
invertible = st.lists(rigid | rolls | permuted | ordered, max_size=5).map(lambda vs: reduce(View.then, vs, View()))

GRID = as_grid([[1, 2, 3], [4, 5, 6]])


@given(grids, invertible)
def test_the_inverse_of_every_composition_gives_the_grid_back(grid: Grid, view: View) -> None:
    assert view.invertible
    assert view.inverse.grid(view.grid(grid)).tolist() == grid.tolist()
    assert view.grid(view.inverse.grid(grid)).tolist() == grid.tolist()


@given(st.lists(grids, min_size=7, max_size=7), invertible)
def test_the_inverse_gives_whole_tasks_and_episodes_back(seven: list[Grid], view: View) -> None:
    train = tuple(Pair(*seven[i : i + 2]) for i in (0, 2, 4))
    task = ArcTask("x", train, (seven[6],))
    assert view.inverse.task(view.task(task)) == task
    episode = Episode(train, train[0])
    assert view.inverse.episode(view.episode(episode)) == episode


@given(grids, invertible)
def test_a_key_replays_to_the_same_array(grid: Grid, view: View) -> None:
    assert View(view.key) == view
    assert View(view.key).grid(grid).tobytes() == view.grid(grid).tobytes()
    assert not view.grid(grid).flags.writeable


@given(grids, invertible, invertible)
def test_views_are_composed_from_left_to_right(grid: Grid, first: View, second: View) -> None:
    assert first.then(second).grid(grid).tolist() == second.grid(first.grid(grid)).tolist()


@pytest.mark.parametrize(
    ("key", "result"),
    [
        ("identity", [[1, 2, 3], [4, 5, 6]]),
        ("rot90", [[3, 6], [2, 5], [1, 4]]),
        ("rot180", [[6, 5, 4], [3, 2, 1]]),
        ("rot270", [[4, 1], [5, 2], [6, 3]]),
        ("fliplr", [[3, 2, 1], [6, 5, 4]]),
        ("flipud", [[4, 5, 6], [1, 2, 3]]),
        ("transpose", [[1, 4], [2, 5], [3, 6]]),
        ("colours0213456789", [[2, 1, 3], [4, 5, 6]]),
        ("roll1x1", [[6, 4, 5], [3, 1, 2]]),
        ("roll0x-1", [[2, 3, 1], [5, 6, 4]]),
        ("reflectdown", [[1, 2, 3], [4, 5, 6], [4, 5, 6], [1, 2, 3]]),
        ("reflectup", [[4, 5, 6], [1, 2, 3], [1, 2, 3], [4, 5, 6]]),
        ("reflectright", [[1, 2, 3, 3, 2, 1], [4, 5, 6, 6, 5, 4]]),
        ("reflectleft", [[3, 2, 1, 1, 2, 3], [6, 5, 4, 4, 5, 6]]),
        ("repeat2x1", [[1, 2, 3], [4, 5, 6], [1, 2, 3], [4, 5, 6]]),
        ("upscale1x2", [[1, 1, 2, 2, 3, 3], [4, 4, 5, 5, 6, 6]]),
        ("upscale2x1", [[1, 2, 3], [1, 2, 3], [4, 5, 6], [4, 5, 6]]),
        ("rot90.flipud.order1-0", [[1, 4], [2, 5], [3, 6]]),
    ],
)
def test_views_of_a_grid_by_hand(key: str, result: list[list[int]]) -> None:
    assert View(key).grid(GRID).tolist() == result


def test_a_view_shows_both_sides_of_all_pairs_and_the_test_inputs() -> None:
    task = ArcTask("x", (Pair(GRID, as_grid([[7, 8]])), Pair(as_grid([[9]]), GRID)), (as_grid([[0], [1]]),))
    seen = View("transpose.order1-0").task(task)
    assert seen.id == "x"
    assert [(pair.input.tolist(), pair.output.tolist()) for pair in seen.train] == [
        ([[9]], [[1, 4], [2, 5], [3, 6]]),
        ([[1, 4], [2, 5], [3, 6]], [[7], [8]]),
    ]
    assert [grid.tolist() for grid in seen.test] == [[[0, 1]]]


def test_the_eight_symmetries_are_different_and_closed_under_composition() -> None:
    images = {view.grid(GRID).tobytes() + bytes(view.grid(GRID).shape) for view in DIHEDRAL}
    assert len(images) == 8
    for first in DIHEDRAL:
        for second in DIHEDRAL:
            seen = first.then(second).grid(GRID)
            assert seen.tobytes() + bytes(seen.shape) in images


def test_what_changes_sizes_has_no_inverse() -> None:
    for view in ENLARGING:
        assert not view.invertible
        with pytest.raises(InputError, match="training only"):
            _ = View("rot90").then(view).inverse


@given(grids, st.sampled_from(ENLARGING))
def test_what_would_be_too_large_is_refused(grid: Grid, view: View) -> None:
    rows, columns = view.grid(GRID).shape
    larger = grid.shape[0] * rows // 2, grid.shape[1] * columns // 3
    assume(max(larger) > 30)
    with pytest.raises(InputError, match=f"{larger[0]}×{larger[1]}"):
        view.grid(grid)


@pytest.mark.parametrize(
    "key",
    [
        *("", ".", "rot90.", "rot45", "identity.rot90", "colours012345678", "colours0012345678", "colours01234567890"),
        *("order", "order0-0", "order1-2", "order-1", "repeat0x2", "upscale2", "upscale2x-1", "repeat99x1"),
        *("colours٠١٢٣٤٥٦٧٨٩", "rot90 ", "ROT90"),
    ],
)
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(InputError, match="is no step of a view"):
        View(key)


def test_an_order_of_another_number_of_demonstrations_is_refused() -> None:
    task = ArcTask("x", (Pair(GRID, GRID),), (GRID,))
    with pytest.raises(InputError, match="orders 2 demonstrations, and there are 1"):
        View("order1-0").task(task)


def test_draws_come_from_the_generator_and_reach_every_permutation_of_few() -> None:
    assert random_colours(np.random.default_rng(3)) == random_colours(np.random.default_rng(3))
    rng = np.random.default_rng(0)
    assert all(random_colours(rng).key.startswith("colours0") for _ in range(20))
    assert {random_colours(rng, keep_background=False).key[7] for _ in range(300)} == set("0123456789")
    assert len({random_order(rng, 3).key for _ in range(100)}) == 6
