import numpy as np

from whet.models.grid_net import BLANK, SIZE
from whet.tasks.arc.transduction.encoding import IGNORED, Question, encode, encode_answers


def grid(*rows):
    return np.array(rows, np.uint8)


QUESTION = Question([(grid([1, 2]), grid([3]))], [grid([4], [5])], [(1, 2)])
LARGER = Question([(grid([1, 2, 3]), grid([3])), (grid([7]), grid([8]))], [grid([4]), grid([6])], [(1, 1), (1, 1)])


def test_a_pair_is_its_size_token_its_input_and_its_output():
    batch = encode([QUESTION])
    assert batch.tokens[0].tolist() == [[SIZE, 1, 2, 3, 0], [SIZE, 4, 5, BLANK, BLANK]]
    assert batch.rows[0].tolist() == [[0, 0, 0, 0, 0], [0, 0, 1, 0, 0]]
    assert batch.columns[0].tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 0, 1]]
    assert batch.real[0].tolist() == [[True] * 4 + [False], [True] * 5]
    assert (batch.context, batch.queries, batch.inputs) == (1, 1, 2)


def test_shorter_questions_are_filled_up_with_what_is_not_there():
    batch = encode([QUESTION, LARGER])
    assert batch.tokens.shape == (2, 4, 1 + 3 + 2)
    assert batch.real[0].sum(-1).tolist() == [4, 0, 5, 0]
    assert batch.real[1].sum(-1).tolist() == [5, 3, 3, 3]


def test_answers_stand_where_the_canvas_is():
    batch = encode([QUESTION, LARGER])
    cells, sizes = encode_answers([[grid([8, 9])], [grid([1]), grid([2])]], batch)
    assert cells.tolist() == [[[8, 9], [IGNORED] * 2], [[1, IGNORED], [2, IGNORED]]]
    assert sizes.tolist() == [[[0, 1], [IGNORED] * 2], [[0, 0], [0, 0]]]
    assert ((cells != IGNORED) == (batch.tokens[:, 2:, 4:] == BLANK)).all()
