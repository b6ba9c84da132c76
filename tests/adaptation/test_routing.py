"""Products by slot against a loop over the slots."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whet.adaptation import routing as module
from whet.adaptation.routing import Routing
from whet.errors import InputError

CPU = torch.device("cpu")
rows_of_slots = st.one_of(
    st.lists(st.integers(1, 7), min_size=1, max_size=5),
    st.tuples(st.integers(1, 5), st.integers(1, 7)).map(lambda pair: [pair[1]] * pair[0]),
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def columns(routing: Routing, inner: torch.Tensor) -> list[torch.Tensor]:
    return list(inner) if routing.equal else list(inner.split(routing.rows, dim=1))


@pytest.mark.parametrize("grouped", [True, False])
@given(rows=rows_of_slots, r=st.integers(1, 3), n=st.sampled_from([1, 4, 5, 8]))
def test_products_equal_a_loop(grouped: bool, rows: list[int], r: int, n: int) -> None:
    routing = Routing(rows, CPU)
    matrices, x = random(len(rows), r, n), random(sum(rows), n, seed=1)
    parts = x.split(rows)
    with pytest.MonkeyPatch.context() as patch:
        if not grouped:
            patch.setattr(module, "_groups", lambda *_: False)
        inner = routing.shrink(matrices, x)
        for found, matrix, part in zip(columns(routing, inner), matrices, parts, strict=True):
            torch.testing.assert_close(found, matrix @ part.T)
        wanted = torch.cat([part @ m.T @ m for m, part in zip(matrices, parts, strict=True)])
        torch.testing.assert_close(routing.expand(None, inner, matrices), wanted)
        y = random(sum(rows), n, seed=2)
        torch.testing.assert_close(routing.expand(y.clone(), inner, matrices), y + wanted)
        outer = torch.stack([m @ part.T @ part for m, part in zip(matrices, parts, strict=True)])
        torch.testing.assert_close(routing.outer(inner, x), outer)
        torch.testing.assert_close(routing.expand(None, inner, matrices, 0.5), wanted * 0.5)
        torch.testing.assert_close(routing.expand(y.clone(), inner, matrices, 0.5), y + wanted * 0.5)
        torch.testing.assert_close(routing.outer(inner, x, 0.5), outer * 0.5)
        there = random(*outer.shape, seed=3)
        torch.testing.assert_close(routing.outer(inner, x, 0.5, into=there.clone()), there + outer * 0.5)


@given(rows=rows_of_slots)
def test_mean_and_spread_equal_a_loop(rows: list[int]) -> None:
    routing, values = Routing(rows, CPU), random(sum(rows))
    torch.testing.assert_close(routing.mean(values), torch.stack([part.mean() for part in values.split(rows)]))
    slots = random(len(rows), 2)
    wanted = torch.cat([slot.expand(n, 2) for slot, n in zip(slots, rows, strict=True)])
    assert torch.equal(routing.spread(slots), wanted)


def test_rows_may_become_more_by_a_factor() -> None:
    assert Routing([2, 3], CPU).of(15).rows == (6, 9)
    with pytest.raises(InputError, match="no multiple of 5"):
        Routing([2, 3], CPU).of(7)


@pytest.mark.parametrize("rows", [[], [0, 2]])
def test_a_slot_without_rows_is_refused(rows: list[int]) -> None:
    with pytest.raises(InputError, match="at least one row"):
        Routing(rows, CPU)
