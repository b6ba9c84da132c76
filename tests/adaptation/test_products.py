"""Products with packed matrices against torch's own."""

from __future__ import annotations

import gc

import pytest
import torch

from whet.adaptation import products
from whet.adaptation.products import Packed, frozen_product

pytestmark = pytest.mark.skipif(not products._AVAILABLE, reason="torch has no packed products here")


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("limit", [0, 10**6])
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_products_equal_those_of_torch(limit: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_packed", Packed(limit))
    matrix, bias = random(5, 7, seed=0), random(5, seed=1)
    x, y = random(rows, 7, seed=2), random(rows, 5, seed=3)
    for _ in range(2):  # packed, and then kept
        torch.testing.assert_close(frozen_product(x, matrix, bias), x @ matrix.T + bias)
        torch.testing.assert_close(frozen_product(y, matrix, back=True), y @ matrix)
    assert products._packed.bytes == (2 * matrix.nbytes if limit else 0)


def test_other_dtypes_are_left_to_torch() -> None:
    matrix, x = random(5, 7, seed=0).double(), random(3, 7, seed=2).double()
    assert torch.equal(frozen_product(x, matrix), x @ matrix.T)


def test_a_matrix_that_changes_is_packed_again() -> None:
    matrix, x = torch.nn.Parameter(random(5, 7, seed=0)), random(3, 7, seed=2)
    frozen_product(x, matrix)
    with torch.no_grad():
        matrix.mul_(2)
        torch.testing.assert_close(frozen_product(x, matrix), x @ matrix.T)
        matrix.data = random(5, 7, seed=4)
        torch.testing.assert_close(frozen_product(x, matrix), x @ matrix.T)


def test_what_is_packed_goes_with_its_matrix() -> None:
    packed, matrix = Packed(10**6), random(5, 7, seed=0)
    packed.get(matrix, back=False)
    assert packed.bytes
    del matrix
    gc.collect()
    assert not packed.bytes
