from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whet.models.grid_net import BLANK, NONE, SIZE
from whet.tasks.arc.transduction.encoding import IGNORED, Question, encode, encode_answers, places


def grid(*rows):
    return np.array(rows, np.uint8)


QUESTION = Question([(grid([1, 2]), grid([3]))], [grid([4], [5])], [(1, 2)])
LARGER = Question([(grid([1, 2, 3]), grid([3])), (grid([7]), grid([8]))], [grid([4]), grid([6])], [(1, 1), (1, 1)])


def test_the_grids_of_a_pair_lie_on_each_other():
    batch = encode([QUESTION])
    assert batch.inputs[0].tolist() == [[SIZE, 1, 2, NONE], [SIZE, 4, NONE, 5]]
    assert batch.outputs[0].tolist() == [[NONE, 3, NONE, NONE], [NONE, BLANK, BLANK, NONE]]
    assert batch.rows[0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]
    assert batch.columns[0].tolist() == [[0, 0, 1, 0], [0, 0, 1, 0]]
    assert batch.real[0].tolist() == [[True] * 3 + [False], [True] * 4]
    assert (batch.context, batch.queries) == (1, 1)


def test_a_question_for_a_size_has_no_canvas():
    batch = encode([replace(QUESTION, sizes=[None])])
    assert batch.outputs[0, 1].tolist() == [NONE] * 3
    cells, sizes = encode_answers([replace(QUESTION, sizes=[None])], [[grid([8, 9])]], batch)
    assert (cells == IGNORED).all()
    assert sizes.tolist() == [[[0, 1]]]


def test_shorter_questions_are_filled_up_with_what_is_not_there():
    batch = encode([QUESTION, LARGER])
    assert batch.inputs.shape == (2, 4, 1 + 3)
    assert batch.real[0].sum(-1).tolist() == [3, 0, 4, 0]
    assert batch.real[1].sum(-1).tolist() == [4, 2, 2, 2]


def test_answers_stand_where_the_canvas_is():
    batch = encode([QUESTION, LARGER])
    cells, sizes = encode_answers([QUESTION, LARGER], [[grid([8, 9])], [grid([1]), grid([2])]], batch)
    assert cells[0].tolist() == [[IGNORED, 8, 9, IGNORED], [IGNORED] * 4]
    assert cells[1].tolist() == [[IGNORED, 1, IGNORED, IGNORED], [IGNORED, 2, IGNORED, IGNORED]]
    assert (sizes == IGNORED).all()
    assert ((cells != IGNORED) == (batch.outputs[:, 2:] == BLANK)).all()


@given(*[st.tuples(st.integers(1, 9), st.integers(1, 9))] * 2)
def test_places_are_those_of_either_grid_row_by_row(first, second):
    rows, columns, of_first, of_second = places(first, second)
    either = sorted({(r, c) for size in (first, second) for r in range(size[0]) for c in range(size[1])})
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == either
    for size, where in ((first, of_first), (second, of_second)):
        assert [either[i] for i in where] == [(r, c) for r in range(size[0]) for c in range(size[1])]
