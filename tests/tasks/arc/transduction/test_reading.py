from dataclasses import replace

import numpy as np
import pytest
import torch

from whet.errors import InputError
from whet.tasks.arc import ArcTask, Pair, as_grid
from whet.tasks.arc.transduction import reading
from whet.tasks.arc.transduction.looks import SYMMETRIES, Look, looks
from whet.tasks.arc.transduction.reading import Reading, read


def copier(batch):
    """In place of a net: answers with the input, and says that the output has 4 rows and 3 columns of 2×3 cells."""
    colours = batch.inputs[:, batch.context :]
    cells = torch.nn.functional.one_hot(colours % 10, 10).float() * 9
    rows = batch.rows[:, batch.context :].amax(-1)
    sizes = torch.zeros(*rows.shape, 2, 30)
    wide = rows == 1  # the input lies as it is in the task
    for side, (here, turned) in enumerate(((3, 2), (2, 3))):
        sizes[:, :, side] = torch.nn.functional.one_hot(torch.where(wide, here, turned), 30).float()
    return cells, sizes


def test_answers_of_all_views_come_back_to_the_grids_of_the_task(task):
    same = replace(task, train=tuple(Pair(pair.input, pair.input) for pair in task.train))
    seen_as = looks(20, seed=3)
    for grid, found in zip(task.test, read(copier, same, seen_as), strict=True):
        assert found.symmetries == tuple(look.symmetry for look in seen_as)
        assert all(np.array_equal(answer, grid) for answer in found.answers)


def test_where_no_rule_gives_the_size_the_net_is_asked_in_all_views():
    shown = (Pair(as_grid([[1, 1, 1]] * 2), as_grid([[1]])), Pair(as_grid([[2, 2, 2]] * 2), as_grid([[1, 1]])))
    task = ArcTask("sizes", shown, (as_grid([[3, 3, 3]] * 2),))

    def blank(batch):
        sizes = copier(batch)[1]
        return torch.zeros(*sizes.shape[:2], batch.inputs.shape[2], 10), sizes

    assert read(blank, task, SYMMETRIES)[0].cells.shape == (8, 4, 3, 10)


def test_how_many_views_go_into_one_pass_makes_no_difference(net, task, monkeypatch):
    seen_as = looks(9, seed=0)
    together = read(net, task, seen_as)
    monkeypatch.setattr(reading, "_TOKENS", 1)
    for one, other in zip(together, read(net, task, seen_as), strict=True):
        np.testing.assert_allclose(one.cells, other.cells, atol=1e-5)


def test_cells_are_log_probabilities(net, task):
    for found in read(net, task, [Look()]):
        np.testing.assert_allclose(np.exp(found.cells).sum(-1), 1, atol=1e-5)


def test_without_its_context_the_demonstrations_make_no_difference(net, task):
    other = replace(task, train=task.train[:1])
    alone = [read(net, which, [Look()], context=False)[0].cells for which in (task, other)]
    shown = [read(net, which, [Look()])[0].cells for which in (task, other)]
    np.testing.assert_allclose(*alone, atol=1e-5)
    assert not np.allclose(*shown)


def test_the_score_of_a_grid_is_the_sum_over_its_cells():
    cells = np.log(np.random.default_rng(0).dirichlet(np.ones(10), size=(2, 1, 3))).astype(np.float32)
    found = Reading(("identity", "rot180"), cells)
    expected = [cells[view, 0, 0, 4] + cells[view, 0, 1, 0] + cells[view, 0, 2, 9] for view in range(2)]
    np.testing.assert_allclose(found.scores(as_grid([[4, 0, 9]])), expected, rtol=1e-6)
    assert (found.scores(as_grid([[4], [0]])) == -np.inf).all()


def test_no_view_is_refused(net, task):
    with pytest.raises(InputError, match="no view"):
        read(net, task, [])
