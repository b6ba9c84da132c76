"""Hand-written gradients against those that autograd finds."""

from __future__ import annotations

import pytest
import torch

from whet.adaptation import products
from whet.adaptation.kernels import Changed, add_low_rank, frozen_cross_entropy, low_rank_linears
from whet.adaptation.routing import Routing
from whet.models.threads import numba_is_there

CPU = torch.device("cpu")


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("rows", [[3, 3, 3], [1, 4, 2], [5]])
@pytest.mark.parametrize("view", [True, False])
def test_low_rank_change_and_its_gradients(rows: list[int], view: bool) -> None:
    n, r, n_in, n_out, scale = sum(rows), 2, 4, 5, 0.7
    routing = Routing(rows, CPU)
    leaves = [random(1, n, n_in, seed=0), random(len(rows), r, n_in, seed=1), random(len(rows), r, n_out, seed=2)]
    weight, direction = random(n_out, n_in, seed=3), random(1, n, n_out, seed=4)
    x, a, b = (leaf.clone().requires_grad_() for leaf in leaves)
    y = (x.view(n, n_in) @ weight.T).view(1, n, n_out) if view else torch.nn.functional.linear(x, weight)
    ours = add_low_rank(y, x, a, b, scale, routing)
    ours.backward(direction)
    x2, a2, b2 = (leaf.clone().requires_grad_() for leaf in leaves)
    changes = [part @ down.T @ up for part, down, up in zip(x2[0].split(rows), a2, b2, strict=True)]
    plain = x2 @ weight.T + scale * torch.cat(changes)[None]
    plain.backward(direction)
    torch.testing.assert_close(ours, plain)
    for one, two in ((x, x2), (a, a2), (b, b2)):
        torch.testing.assert_close(one.grad, two.grad)


@pytest.mark.parametrize("rows", [[3, 3, 3], [1, 4, 2], [1, 2, 70, 3, 64, 5]])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("layout", ["apart", "side by side", "one layer"])
@pytest.mark.parametrize("way", ["float64", "float32", "in panels", "in panels, three threads"])
def test_linear_layers_with_low_rank_changes_and_their_gradients(
    rows: list[int], before: bool, layout: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients are added to those that are there before; float32 is compiled where numba is installed."""
    dtype = torch.float64 if way == "float64" else torch.float32
    panels = way.startswith("in panels") and numba_is_there()
    monkeypatch.setattr(products, "_TILES", frozenset({torch.float32} if panels else ()))
    monkeypatch.setattr(products, "_packed", products.Packed(10**6))
    if way.endswith("threads") and numba_is_there():
        monkeypatch.setattr("whet.adaptation.slot_products.ROWS_A_THREAD", 1)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    n, n_in, n_outs, scale = sum(rows), 4, (5, 3)[: 1 if layout == "one layer" else 2], 0.7
    weights = [random(n_out, n_in, seed=10 + n_out).to(dtype) for n_out in n_outs]
    biases = [random(n_outs[0], seed=5).to(dtype), None]
    directions = [random(1, n, n_out, seed=20 + n_out).to(dtype) for n_out in n_outs]
    ours, others = (low_rank_leaves(rows, n_in, n_outs, layout, dtype) for _ in range(2))
    x, x2 = (random(1, n, n_in, seed=0).to(dtype).requires_grad_() for _ in range(2))
    if before:
        for leaf in (*ours, *others):
            leaf.grad = torch.ones_like(leaf)
    layers = [Changed(w, c, a, b) for w, c, a, b in zip(weights, biases, ours[::2], ours[1::2], strict=False)]
    found = low_rank_linears(x, layers, scale, Routing(rows, CPU))
    for y, weight, bias, a, b in zip(found, weights, biases, others[::2], others[1::2], strict=False):
        changes = [part @ down.T @ up for part, down, up in zip(x2[0].split(rows), a, b, strict=True)]
        plain = torch.nn.functional.linear(x2, weight, bias) + scale * torch.cat(changes)[None]
        torch.testing.assert_close(y, plain, atol=1e-5, rtol=1e-5)
        plain.backward(directions[len(plain[0, 0]) != n_outs[0]], retain_graph=True)
    torch.autograd.backward(found, directions)
    for one, two in zip((x, *ours), (x2, *others), strict=True):
        torch.testing.assert_close(one.grad, two.grad, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("panels", [True, False])
def test_an_input_that_needs_no_gradient_gets_none(panels: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_TILES", frozenset({torch.float32} if panels and numba_is_there() else ()))
    monkeypatch.setattr(products, "_packed", products.Packed(10**6))
    weight, (a, b), x = (
        random(5, 4, seed=0).float(),
        low_rank_leaves([3, 2], 4, (5,), "one layer", torch.float32),
        random(5, 4, seed=1).float(),
    )
    (y,) = low_rank_linears(x, [Changed(weight, None, a, b)], 0.7, Routing([3, 2], CPU))
    y.sum().backward()
    forward = {(False, torch.float32)}
    assert {way for kept in products._packed._kept.values() for way in kept.packs} <= forward  # nothing is turned
    for slot, part in enumerate(x.split([3, 2])):
        torch.testing.assert_close(b.grad[slot], 0.7 * (part @ a[slot].T).sum(0)[:, None].expand(-1, 5).detach())


def low_rank_leaves(
    rows: list[int], n_in: int, n_outs: tuple[int, ...], layout: str, dtype: torch.dtype
) -> list[torch.Tensor]:
    """A and B of each layer, with ranks of 5 (four at once and one more); all A in one piece, or each for itself."""
    r, slots = 5, len(rows)
    flat = random(slots, r * n_in * len(n_outs) + 7, seed=1).to(dtype)
    found = []
    for place, n_out in enumerate(n_outs):
        begin = place * r * n_in
        a = flat[:, begin : begin + r * n_in].view(slots, r, n_in)
        a = a.clone() if layout == "apart" else a
        found += [a.detach().requires_grad_(), random(slots, r, n_out, seed=2 + place).to(dtype).requires_grad_()]
    return found


def test_cross_entropy_of_what_is_all_but_certain_is_finite() -> None:
    weight = torch.tensor([[300.0], [0.0], [-300.0]])
    nats = frozen_cross_entropy(torch.ones(3, 1), weight, None, torch.tensor([0, 1, 2]))
    torch.testing.assert_close(nats, torch.tensor([0.0, 300.0, 600.0]))


@pytest.mark.parametrize("biased", [True, False])
def test_cross_entropy_and_its_gradient_equal_those_of_torch(biased: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whet.adaptation.kernels._LOGITS_AT_ONCE", 3 * 11)  # several stretches, the last one short
    monkeypatch.setattr("whet.adaptation.kernels._LEAST_ROWS", 1)
    weight, bias = random(11, 4, seed=0).float(), random(11, seed=1).float() if biased else None
    targets = torch.tensor([3, 0, 10, 5, 5, 1, 2])
    each = random(7, seed=3).float()
    one, two = (random(7, 4, seed=2).float().requires_grad_() for _ in range(2))
    ours = frozen_cross_entropy(one, weight, bias, targets)
    plain = torch.nn.functional.cross_entropy(torch.nn.functional.linear(two, weight, bias), targets, reduction="none")
    torch.testing.assert_close(ours, plain)
    (ours * each).sum().backward()
    (plain * each).sum().backward()
    torch.testing.assert_close(one.grad, two.grad)
