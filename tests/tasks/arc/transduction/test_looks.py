import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from whet.tasks.arc import as_grid
from whet.tasks.arc.transduction.looks import SYMMETRIES, Look, looks, random_look
from whet.tasks.arc.views import DIHEDRAL, View

grids = arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.integers(0, 9))
all_looks = st.builds(Look, st.booleans(), st.integers(0, 3), st.permutations(range(10)).map(tuple))


@given(grids, all_looks)
def test_what_is_said_of_the_cells_in_a_view_comes_back_to_the_cells(grid, look):
    certain = np.eye(10)[look.grid(grid)]
    assert np.array_equal(look.undo(certain).argmax(-1), grid)


@given(grids, all_looks)
def test_the_size_in_a_view_is_that_of_the_grid_in_it(grid, look):
    assert look.size(grid.shape) == look.grid(grid).shape


@given(grids, st.sampled_from(SYMMETRIES))
def test_a_symmetry_is_the_view_of_its_name(grid, look):
    assert np.array_equal(look.grid(grid), View(look.symmetry).grid(as_grid(grid)))


def test_there_are_eight_symmetries():
    grid = as_grid([[1, 2, 3], [4, 5, 6]])
    assert {look.grid(grid).tobytes() for look in SYMMETRIES} == {view.grid(grid).tobytes() for view in DIHEDRAL}
    assert SYMMETRIES[0].symmetry == "identity"


def test_looks_begin_with_the_symmetries_and_go_on_in_other_colours():
    found = looks(12, seed=0)
    assert tuple(found[:8]) == SYMMETRIES
    assert [look.symmetry for look in found[8:]] == [look.symmetry for look in SYMMETRIES[:4]]
    assert len(set(found)) == 12
    assert all(look.table[0] == 0 for look in found)
    assert looks(12, seed=0) == found != looks(12, seed=1)


def test_a_random_look_mostly_keeps_the_background():
    rng = np.random.default_rng(0)
    drawn = [random_look(rng) for _ in range(400)]
    kept = sum(look.table[0] == 0 for look in drawn)
    assert 300 < kept < 360  # 80 %, and a tenth of the rest
    assert all(sorted(look.table) == list(range(10)) for look in drawn)
    assert len({(look.transposed, look.turns) for look in drawn}) == 8
