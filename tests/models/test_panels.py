"""Products with matrices in panels against those of torch, in float32 and of numbers rounded to bfloat16."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

pytest.importorskip("numba")

from whet.models.panels import fits, in_panels, product
from whet.models.tiles import PAIRS, PANEL

LOW = pytest.param(torch.bfloat16, marks=pytest.mark.skipif(not PAIRS, reason="this processor multiplies no pairs"))


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def multiplied(x: Tensor, matrix: Tensor, precision: torch.dtype, add: Tensor | None = None) -> Tensor:
    (terms, columns), panels = matrix.shape, in_panels(matrix, precision)
    y = torch.full((len(x), columns), torch.nan) if add is None else add.clone()
    sizes = terms, columns, int(add is not None), int(precision == torch.bfloat16)
    product(y.data_ptr(), x.data_ptr(), panels.data_ptr(), *sizes, 0, len(x))
    return y


@pytest.mark.parametrize("precision", [torch.float32, LOW])
@given(
    rows=st.integers(1, 150),
    panels=st.integers(1, 4),
    halves=st.integers(1, 300),
    adds=st.booleans(),
    off=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_it_is_the_product(rows: int, panels: int, halves: int, adds: bool, off: bool, precision: torch.dtype) -> None:
    terms, columns = 2 * halves, panels * PANEL
    if off and precision == torch.float32:
        terms, columns = terms + 1, columns + 5
    x, matrix = random(rows, terms, seed=0), random(terms, columns, seed=1)
    add = random(rows, columns, seed=2) if adds else None
    wanted = x.to(precision).double() @ matrix.to(precision).double() + (0 if add is None else add)
    found = multiplied(x, matrix, precision, add)
    torch.testing.assert_close(found.double(), wanted, atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("precision", [torch.float32, LOW])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_stays_so_in_its_row(value: float, precision: torch.dtype) -> None:
    x, matrix = random(20, 64, seed=0), random(64, 32, seed=1)
    clean = multiplied(x, matrix, precision)
    x[3, 5] = value
    found = multiplied(x, matrix, precision)
    assert not found[3].isfinite().any()
    assert torch.equal(found[:3], clean[:3])
    assert torch.equal(found[4:], clean[4:])


@pytest.mark.skipif(not PAIRS, reason="this processor multiplies no pairs")
def test_numbers_are_rounded_as_torch_does() -> None:
    bits = torch.randint(-(2**31), 2**31, (64, 64), generator=torch.Generator().manual_seed(0)).to(torch.int32)
    x = bits.view(torch.float32)
    x = torch.where((x.abs() > 1e-30) | x.isnan(), x, 0.0)  # the processor takes what is next to nothing for nothing
    found = multiplied(x, torch.eye(64), torch.bfloat16)
    alone = x.isfinite().all(1)  # a number that is not finite has a say in its whole row
    assert alone.any()
    assert torch.equal(found[alone], x[alone].bfloat16().float())
    assert multiplied(torch.full((1, 64), torch.nan), torch.eye(64), torch.bfloat16).isnan().all()


def test_what_does_not_fit_pairs_is_said() -> None:
    assert fits(3, 5, torch.float32)
    assert not fits(3, PANEL, torch.bfloat16)
    assert not fits(4, PANEL + 1, torch.bfloat16)
    assert fits(4, PANEL, torch.bfloat16) == PAIRS
