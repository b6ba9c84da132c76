"""Products with packed matrices against torch's own."""

from __future__ import annotations

import gc

import pytest
import torch

from whet.adaptation import products
from whet.adaptation.products import Packed, frozen_product, rounded
from whet.models.precision import computes_in_bfloat16
from whet.models.threads import numba_is_there

Tiles = frozenset[torch.dtype]
TILES = [frozenset({torch.float32} if numba_is_there() else ()), frozenset()]

pytestmark = pytest.mark.skipif(not products._AVAILABLE, reason="torch has no packed products here")


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def bytes_both_ways(matrix: torch.Tensor, precision: torch.dtype) -> int:
    """Of a matrix that is packed; panels are whole."""
    total = 0
    for back in (False, True):
        columns, terms = reversed(matrix.shape) if back else matrix.shape
        if products._tiles(matrix, back, precision):
            from whet.models.tiles import PANEL

            columns += -columns % PANEL
        total += columns * terms * precision.itemsize
    return total


@pytest.mark.parametrize("limit", [0, 10**6])
@pytest.mark.parametrize("rows", [1, 3, 90])
@pytest.mark.parametrize("tiles", TILES)
def test_products_equal_those_of_torch(limit: int, rows: int, tiles: Tiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_TILES", tiles)
    monkeypatch.setattr(products, "_packed", Packed(limit))
    matrix, bias = random(5, 7, seed=0), random(5, seed=1)
    x, y = random(rows, 7, seed=2), random(rows, 5, seed=3)
    for _ in range(2):  # packed, and then kept
        torch.testing.assert_close(frozen_product(x, matrix, bias), x @ matrix.T + bias)
        torch.testing.assert_close(frozen_product(y, matrix, back=True), y @ matrix)
        for bias_or_none, more in ((None, 0), (bias, bias)):
            found = frozen_product(x, matrix, bias_or_none, add=y.clone())
            torch.testing.assert_close(found, x @ matrix.T + more + y)
    assert products._packed.bytes == (bytes_both_ways(matrix, torch.float32) if limit else 0)


@pytest.mark.parametrize("terms", [64, 192, 512, 1024])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("precision", [torch.float32, *products._TILES - {torch.float32}])
def test_a_row_does_not_depend_on_its_company(terms: int, back: bool, precision: torch.dtype) -> None:
    matrix = random(terms, 96, seed=0) if back else random(96, terms, seed=0)
    x, add = random(300, terms, seed=1), random(300, 96, seed=2)
    how = {"back": back, "precision": precision}
    together, added = frozen_product(x, matrix, **how), frozen_product(x, matrix, add=add.clone(), **how)
    # for less than four rows oneDNN takes some sums in another order, on some processors
    few = ((0, 1), (7, 8), (0, 2)) if precision in products._TILES else ()
    for first, last in (*few, (3, 7), (3, 40), (100, 229), (0, 256)):
        own = slice(first, last)
        assert torch.equal(frozen_product(x[own], matrix, **how), together[own])
        assert torch.equal(frozen_product(x[own], matrix, add=add[own].clone(), **how), added[own])


@pytest.mark.skipif(not computes_in_bfloat16(), reason="this processor does not compute in bfloat16")
@pytest.mark.parametrize("limit", [0, 10**6])
@pytest.mark.parametrize(("columns", "terms"), [(50, 70), (96, 160), (64, 71)])
def test_products_in_bfloat16_are_those_of_rounded_numbers(
    limit: int, columns: int, terms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "_packed", Packed(limit))
    matrix, bias, more = random(columns, terms, seed=0), random(columns, seed=1), random(3, columns, seed=4)
    x, y = random(3, terms, seed=2), random(3, columns, seed=3)
    low = {"precision": torch.bfloat16}
    kept, given = (part.bfloat16().double() if limit else part.double() for part in (matrix, x))
    close = {"rtol": 2**-7, "atol": 0.2} if limit else {"rtol": 1e-5, "atol": 1e-5}  # results are rounded once more
    for _ in range(2):
        expected = given @ kept.T + bias
        torch.testing.assert_close(frozen_product(x, matrix, bias, **low).double(), expected, **close)
        again = frozen_product(rounded(x, matrix, torch.bfloat16), matrix, bias, **low)
        if limit:
            assert torch.equal(again, frozen_product(x, matrix, bias, **low))
        found = frozen_product(x, matrix, add=more.clone(), **low)
        torch.testing.assert_close(found.double(), given @ kept.T + more, **close)
        found = frozen_product(y, matrix, back=True, **low)
        torch.testing.assert_close(found.double(), (y.bfloat16() if limit else y).double() @ kept, **close)
        assert found.dtype == torch.float32
    assert products._packed.bytes == (bytes_both_ways(matrix, torch.bfloat16) if limit else 0)


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
