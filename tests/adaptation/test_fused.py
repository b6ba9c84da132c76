"""LoRA in the place of linear layers against LoRA that follows them."""

from __future__ import annotations

import pytest
import torch

from whet.adaptation import AdapterBank, LoraConfig
from whet.adaptation.forms import Active
from whet.adaptation.forms.lora import BoundLora
from whet.adaptation.fused import hooked
from whet.adaptation.routing import Routing

ROWS = {"equal": [3, 3], "ragged": [2, 4], "one": [6]}


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    layers = (torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4, bias=False))
    return torch.nn.Sequential(*layers).requires_grad_(False)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
def test_outputs_and_gradients_are_the_same(rows: list[int]) -> None:
    net = network()
    bound = LoraConfig(r=2, target_modules=("0", "2")).bind(net)
    assert isinstance(bound, BoundLora)
    generator = torch.Generator().manual_seed(1)
    found = []
    start = torch.randn(len(rows), bound.layout.size, generator=generator) / 2
    x = torch.randn(6, 4, generator=generator)
    for attach in (bound.hooked, lambda active: hooked(bound, active)):
        weights = start.clone().requires_grad_()
        with attach(Active(bound.layout.views(weights), Routing(rows, x.device))):
            output = net(x)
        output.square().sum().backward()
        found.append((output.detach(), weights.grad))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


def test_a_base_weight_that_is_learnt_gets_its_gradient() -> None:
    net = network()
    net[0].weight.requires_grad_(True)
    bank = AdapterBank(net, LoraConfig(r=2, target_modules=("0", "2")))
    with bank.attached():
        bank.route([0], [3], learn=True)
        net(torch.ones(3, 4)).sum().backward()
    assert net[0].weight.grad is not None


def test_the_modules_are_as_before() -> None:
    net, x = network(), torch.ones(3, 4)
    before = net(x)
    bank = AdapterBank(net, LoraConfig(r=2, target_modules=("0", "2")))
    bank.weights.fill_(0.5)
    with bank.using(0):
        assert not torch.equal(net(x), before)
    assert torch.equal(net(x), before)
    assert not any("forward" in vars(part) for part in net)
