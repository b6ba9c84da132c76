import numpy as np
import pytest

from whet.tasks.arc import Pair, as_grid
from whet.tasks.arc.transduction.output_sizes import ruled_size


def of(rows, columns):
    return as_grid(np.zeros((rows, columns), np.uint8))


@pytest.mark.parametrize(
    ("shown", "asked", "expected"),
    [
        ([((2, 3), (2, 3)), ((4, 1), (4, 1))], (5, 6), (5, 6)),
        ([((2, 3), (1, 4)), ((4, 1), (1, 4))], (5, 6), (1, 4)),
        ([((2, 3), (3, 2)), ((4, 1), (1, 4))], (5, 6), (6, 5)),
        ([((2, 3), (4, 9)), ((4, 1), (8, 3))], (5, 6), (10, 18)),
        ([((2, 4), (1, 2)), ((4, 8), (2, 4))], (6, 2), (3, 1)),
        ([((3, 4), (1, 2)), ((4, 9), (2, 7))], (6, 3), (4, 1)),
        ([((2, 3), (2, 2)), ((4, 1), (3, 3))], (5, 6), None),
        ([((2, 4), (1, 2)), ((4, 8), (2, 4))], (5, 2), None),
        ([((2, 2), (20, 20)), ((1, 1), (10, 10))], (4, 4), None),
        ([((5, 5), (3, 3)), ((4, 4), (2, 2))], (2, 2), None),
    ],
)
def test_the_size_follows_the_rule_that_all_demonstrations_keep(shown, asked, expected):
    demonstrations = [Pair(of(*given), of(*wanted)) for given, wanted in shown]
    assert ruled_size(demonstrations, of(*asked)) == expected
