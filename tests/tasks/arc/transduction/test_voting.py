import numpy as np

from whet.tasks.arc.transduction.reading import Reading
from whet.tasks.arc.transduction.voting import by_symmetry, flat, product


def reading(*views, symmetries=None):
    """Each view says for each of the cells of a single row how probable the colours 0, 1 and 2 are."""
    cells = np.full((len(views), 1, len(views[0]), 10), 1e-6)
    cells[..., :3] = np.array(views)[:, None]
    return Reading(symmetries or ("identity",) * len(views), np.log(cells).astype(np.float32))


A, B = [0.9, 0.05, 0.05], [0.05, 0.9, 0.05]


def test_the_flat_vote_is_for_the_most_frequent_answers():
    found = flat(reading([A, A], [B, B], [B, B], [A, B]))
    assert [grid.tolist() for grid in found] == [[[1, 1]], [[0, 0]]]


def test_the_vote_by_symmetry_gives_each_symmetry_its_say():
    found = reading([B, B], [A, A], [A, A], [A, A], [B, B], symmetries=("identity", *["rot90"] * 3, "rot180"))
    assert [grid.tolist() for grid in flat(found)] == [[[0, 0]], [[1, 1]]]
    assert [grid.tolist() for grid in by_symmetry(found)] == [[[1, 1]], [[0, 0]]]


def test_the_product_is_the_best_of_all_grids():
    rng = np.random.default_rng(0)
    views = rng.dirichlet(np.ones(3), size=(4, 2))
    totals = np.log(views).sum(0)
    best = max(((a, b) for a in range(3) for b in range(3)), key=lambda ab: totals[0, ab[0]] + totals[1, ab[1]])
    assert product(reading(*views.tolist()))[0].tolist() == [list(best)]


def test_the_second_of_the_product_is_the_best_other_answer_of_a_view():
    found = product(reading([B, B], [A, A], [A, A], [A, A], [B, A]))
    assert [grid.tolist() for grid in found] == [[[0, 0]], [[1, 0]]]


def test_where_all_views_agree_the_least_certain_cell_changes_in_the_second():
    found = product(reading([A, [0.5, 0.1, 0.4]], [A, [0.5, 0.1, 0.4]]))
    assert [grid.tolist() for grid in found] == [[[0, 0]], [[0, 2]]]
