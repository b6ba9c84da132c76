"""Products in bfloat16."""

from __future__ import annotations

import pytest
import torch

from whet.models import precision


@pytest.mark.parametrize("there", [True, False])
def test_products_are_low_where_the_processor_computes_so(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda: there)
    x = torch.ones(2, 2)
    with precision.low_products():
        assert (x @ x).dtype == (torch.bfloat16 if there else torch.float32)
    assert (x @ x).dtype == torch.float32


@pytest.mark.parametrize("there", [True, False])
def test_a_block_wants_what_it_is_told_if_the_processor_can(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda: there)
    assert precision.wanted_precision() == torch.float32
    with precision.products_in("bfloat16"):
        assert precision.wanted_precision() == (torch.bfloat16 if there else torch.float32)
        with precision.products_in("float32"):
            assert precision.wanted_precision() == torch.float32
    assert precision.wanted_precision() == torch.float32


@pytest.mark.parametrize("known", [{"avx512_bf16": True}, {"amx_bf16": True}, {"avx512_bf16": False}, {}])
@pytest.mark.parametrize("low_seconds", [0.5, 0.9, 2.0])
def test_instructions_that_are_not_faster_do_not_count(
    known: dict[str, bool], low_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    monkeypatch.setattr(precision, "_seconds", lambda dtype: low_seconds if dtype == torch.bfloat16 else 1.0)
    assert precision.computes_in_bfloat16.__wrapped__() is (any(known.values()) and low_seconds == 0.5)


def test_a_product_takes_some_time_in_either_precision() -> None:
    assert all(0 < precision._seconds(dtype) < 10 for dtype in (torch.float32, torch.bfloat16))
