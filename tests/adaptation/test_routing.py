"""Products by slot against a loop over the slots."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whet.adaptation import routing as module
from whet.adaptation import slot_products
from whet.adaptation.routing import Routing
from whet.errors import InputError

groups = module._groups
CPU = torch.device("cpu")
rows_of_slots = st.one_of(
    st.lists(st.integers(1, 7), min_size=1, max_size=5),
    st.tuples(st.integers(1, 5), st.integers(1, 7)).map(lambda pair: [pair[1]] * pair[0]),
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def columns(routing: Routing, inner: torch.Tensor, compiled: bool) -> list[torch.Tensor]:
    """`(r, rows)` of each slot."""
    if compiled:
        return [part.T for part in inner.split(routing.rows)]
    return list(inner) if routing.equal else list(inner.split(routing.rows, dim=1))


@pytest.mark.parametrize("way", ["compiled", "grouped", "loop"])
@pytest.mark.parametrize("threads", [1, 2])
@given(rows=rows_of_slots, r=st.integers(1, 9), n=st.sampled_from([1, 4, 5, 8, 40]))
def test_products_equal_a_loop(way: str, threads: int, rows: list[int], r: int, n: int) -> None:
    if way == "compiled":
        pytest.importorskip("numba")
    matrices, x = random(len(rows), r, n), random(sum(rows), n, seed=1)
    parts = x.split(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: threads)
        patch.setattr(slot_products, "ROWS_A_THREAD", 2)
        patch.setattr(Routing, "compiles", lambda *_: way == "compiled")
        patch.setattr(module, "_groups", lambda *operands: way == "grouped" and groups(*operands))
        routing = Routing(rows, CPU)
        inner = routing.shrink(matrices, x)
        for found, matrix, part in zip(columns(routing, inner, way == "compiled"), matrices, parts, strict=True):
            torch.testing.assert_close(found, matrix @ part.T, atol=1e-4, rtol=1e-4)
        wanted = torch.cat([part @ m.T @ m for m, part in zip(matrices, parts, strict=True)])
        close(routing.expand(None, inner, matrices), wanted)
        y = random(sum(rows), n, seed=2)
        close(routing.expand(y.clone(), inner, matrices), y + wanted)
        close(routing.expand(y.clone(), inner, matrices, 0.5), y + wanted * 0.5)
        outer = torch.stack([m @ part.T @ part for m, part in zip(matrices, parts, strict=True)])
        there = random(*outer.shape, seed=3)
        close(routing.outer(inner, x, 0.5, into=there.clone()), there + outer * 0.5)
        both = routing.side_by_side([inner, inner])
        for one in routing.apart(both, [r, r]):
            assert torch.equal(one, inner)


@given(before=st.lists(st.integers(1, 9), max_size=4), own=st.integers(1, 30), threads=st.integers(1, 4))
def test_compiled_products_of_a_slot_depend_neither_on_others_nor_on_threads(
    before: list[int], own: int, threads: int
) -> None:
    pytest.importorskip("numba")
    r, n, rows = 6, 40, [*before, own]
    matrices, x = random(len(rows), r, n), random(sum(rows), n, seed=1)

    def last_slot(first: int) -> list[torch.Tensor]:
        """What comes out for the last slot, together with those from `first` on."""
        routing, own_rows = Routing(rows[first:], CPU), x[sum(rows[:first]) :]
        inner = routing.shrink(matrices[first:], own_rows)
        expanded = routing.expand(None, inner, matrices[first:])
        into = torch.zeros(len(rows) - first, r, n)
        return [inner[-own:], expanded[-own:], routing.outer(inner, own_rows, 0.5, into=into)[-1]]

    alone = last_slot(len(before))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: threads)
        patch.setattr(slot_products, "ROWS_A_THREAD", 2)
        for one, other in zip(alone, last_slot(0), strict=True):
            assert torch.equal(one, other)


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, atol=1e-4 * wanted.abs().max().item(), rtol=1e-4)


def test_of_matrices_that_lie_apart_those_of_some_slots_are_taken() -> None:
    """As the rows of a bank are: each slot's matrix is a part of a longer row."""
    flat, x = random(3, 50), random(6, 8, seed=1)
    matrices, routing = flat[:, 4:28].view(3, 3, 8), Routing([1, 3, 2], CPU)
    wanted = torch.cat([part @ m.T @ m for m, part in zip(matrices, x.split([1, 3, 2]), strict=True)])
    close(routing.expand(None, routing.shrink(matrices, x), matrices), wanted)


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
