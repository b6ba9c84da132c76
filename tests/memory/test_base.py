"""Embeddings that cannot be searched are refused with the place of the one at fault."""

from __future__ import annotations

import numpy as np
import pytest

from whet.errors import InputError
from whet.memory.base import unit_rows


def test_rows_are_scaled_to_norm_one() -> None:
    rows = unit_rows([[3.0, 4.0], [0.0, -2.0]], 2, ["a", "b"])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, -1.0]], atol=1e-7)


@pytest.mark.parametrize(
    ("row", "fault"), [([0.0, 0.0], "zero"), ([np.nan, 1.0], "not finite"), ([1.0, -np.inf], "not finite")]
)
def test_a_row_without_direction_is_named(row: list[float], fault: str) -> None:
    with pytest.raises(InputError, match=f"the embedding of text 2 is {fault}"):
        unit_rows([[1.0, 0.0], row], 2, ["text 1", "text 2"])


@pytest.mark.parametrize("shape", [(2, 3), (1, 2), (4,)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"have shape .*\(2, 2\) was expected"):
        unit_rows(np.ones(shape), 2, ["text 1", "text 2"])
