import numpy as np
import pytest

from whet.errors import InputError
from whet.tasks.arc.generate import FAMILIES, draw_pairs, draw_task
from whet.tasks.arc.generate.local import neighbours
from whet.tasks.arc.generate.scenes import blob

NAMES = sorted(FAMILIES)


def drawn(name, seed, side, count=4):
    return draw_pairs(FAMILIES[name], np.random.default_rng(seed), side, count)


@pytest.mark.parametrize("name", NAMES)
def test_every_family_draws_grids_that_fit(name):
    for seed, side in enumerate((4, 5, 7, 10)):
        for grid in (grid for pair in drawn(name, seed, side) for grid in pair):
            assert grid.dtype == np.uint8
            assert grid.ndim == 2
            assert min(grid.shape) >= 1
            assert max(grid.shape) <= side
            assert grid.max() <= 9


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_draws_the_same_pairs_again(name):
    again = drawn(name, 3, 6)
    for first, second in zip(drawn(name, 3, 6), again, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_different_and_the_rule_does_something(name):
    for seed in range(4):
        pairs = drawn(name, seed, 6)
        assert len({grid.tobytes() for grid, _ in pairs}) == len(pairs)
        assert not all(np.array_equal(*pair) for pair in pairs)


def test_other_seeds_draw_other_tasks():
    drawn_grids = {draw_task(FAMILIES, np.random.default_rng(seed), 6, 1)[0][0].tobytes() for seed in range(30)}
    assert len(drawn_grids) > 25


def test_a_family_without_pairs_of_that_size_says_so():
    def too_large(_, side):
        return lambda _: (np.zeros((side + 1, 1), np.uint8), np.ones((1, 1), np.uint8))

    with pytest.raises(InputError, match=r"too_large draws no pairs of side 3"):
        draw_pairs(too_large, np.random.default_rng(0), 3, 2)


@pytest.mark.parametrize("seed", range(10))
def test_gravity_keeps_the_cells_of_every_line_and_leaves_no_gap(seed):
    for grid, out in drawn("gravity", seed, 6):
        assert sorted(grid.ravel()) == sorted(out.ravel())
        filled = out > 0
        assert any(
            (np.diff(np.rot90(filled, turns).astype(int), axis=0) >= 0).all() for turns in range(4)
        )  # in one direction, nothing lies above nothing


@pytest.mark.parametrize("seed", range(10))
def test_an_upscaled_grid_is_its_own_cells_larger(seed):
    for pair in drawn("upscale", seed, 8):
        small, large = sorted(pair, key=lambda grid: grid.size)
        factor = large.shape[0] // small.shape[0]
        assert np.array_equal(large[::factor, ::factor], small)
        assert np.array_equal(large[factor - 1 :: factor, factor - 1 :: factor], small)


def test_neighbours_are_counted_as_a_loop_counts_them():
    mask = np.random.default_rng(0).random((4, 5)) < 0.5
    steps = ((0, 1), (-1, -1), (1, 0))
    expected = [
        [sum(0 <= r + a < 4 and 0 <= c + b < 5 and mask[r + a, c + b] for a, b in steps) for c in range(5)]
        for r in range(4)
    ]
    assert neighbours(mask, steps).tolist() == expected


@pytest.mark.parametrize("cells", [1, 2, 5, 9])
def test_a_blob_has_its_cells_and_is_connected(cells):
    shape = blob(np.random.default_rng(cells), cells)
    assert shape.sum() == cells
    reached = {tuple(np.argwhere(shape)[0])}
    while True:
        near = {(r + a, c + b) for r, c in reached for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0))}
        more = {(r, c) for r, c in near if 0 <= r < shape.shape[0] and 0 <= c < shape.shape[1] and shape[r, c]}
        if more <= reached:
            break
        reached |= more
    assert len(reached) == cells
