"""Heads against scikit-learn's logistic regression and against torch's own linear layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression

from whet.adaptation.heads import HeadBank, HeadConfig
from whet.errors import AdapterError, InputError

WIDTH = 5


def examples(n: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows around a centre for each class."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, WIDTH, generator=generator)
    labels = torch.randint(classes, (n,), generator=generator)
    return centres[labels] + torch.randn(n, WIDTH, generator=generator), labels


@pytest.mark.parametrize("classes", [2, 4])
def test_converges_to_the_logistic_regression_of_sklearn(classes: int) -> None:
    bank = HeadBank(HeadConfig(classes=classes, l2=0.1), WIDTH, slots=2)
    data = {slot: examples(n, classes, slot) for slot, n in enumerate((60, 40))}
    bank.fit(data, steps=500, lr=0.05)
    found = bank.predict_proba({slot: x for slot, (x, _) in data.items()})
    for slot, (x, y) in data.items():
        c = (2 if classes == 2 else 1) / (len(x) * 0.1)  # of two classes it has one row of weights
        theirs = LogisticRegression(C=c, tol=1e-8, max_iter=10_000)
        wanted = theirs.fit(x.numpy(), y.numpy()).predict_proba(x.numpy())
        np.testing.assert_allclose(found[slot].numpy(), wanted, atol=1e-3)


def test_steps_are_those_of_adam_on_a_linear_layer_of_zeros() -> None:
    x, y = examples(20, 3, 0)
    bank = HeadBank(HeadConfig(classes=3, l2=0.2), WIDTH)
    losses = bank.fit({0: (x, y)}, steps=7, lr=0.03)[0]
    layer = torch.nn.Linear(WIDTH, 3)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    adam = torch.optim.Adam(layer.parameters(), lr=0.03)
    for step in range(7):
        loss = torch.nn.functional.cross_entropy(layer(x), y) + 0.1 * layer.weight.square().sum()
        assert losses[step] == pytest.approx(loss.item(), abs=1e-5)
        adam.zero_grad()
        loss.backward()
        adam.step()
    torch.testing.assert_close(bank.tensors(0)["weight"], layer.weight.detach(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(bank.tensors(0)["bias"], layer.bias.detach(), atol=1e-4, rtol=1e-4)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 20))
def test_alone_equals_together(sizes: list[int], rows_a_pass: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("whet.adaptation.heads._ROWS_A_PASS", rows_a_pass)
        data = {slot: examples(n, 3, slot) for slot, n in reversed(list(enumerate(sizes)))}
        bank = HeadBank(HeadConfig(classes=3), WIDTH, slots=len(sizes) + 1)
        assert bank.fit(data, steps=10).keys() == data.keys()
        found = bank.predict_proba({slot: x for slot, (x, _) in data.items()})
    assert list(found) == list(data)
    assert not bank.weights[-1].any()
    for slot, (x, y) in data.items():
        only = HeadBank(HeadConfig(classes=3), WIDTH)
        only.fit({0: (x, y)}, steps=10)
        torch.testing.assert_close(only.weights[0], bank.weights[slot], atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(only.predict_proba({0: x})[0], found[slot], atol=1e-4, rtol=1e-3)


def test_a_fresh_head_knows_nothing_and_a_reset_one_neither() -> None:
    x, y = examples(10, 4, 0)
    bank = HeadBank(HeadConfig(classes=4), WIDTH)
    for _ in range(2):
        assert torch.equal(bank.predict_proba({0: x})[0], torch.full((10, 4), 0.25))
        bank.fit({0: (x.numpy(), y.tolist())}, steps=3)  # arrays and lists are taken as well
        assert not torch.equal(bank.predict_proba({0: x})[0], torch.full((10, 4), 0.25))
        bank.reset(0)


def test_what_is_stored_comes_back_and_nothing_else_is_taken(tmp_path: Path) -> None:
    bank = HeadBank(HeadConfig(classes=3), WIDTH, slots=2)
    bank.fit({1: examples(20, 3, 0)})
    settings, weights = bank.to_peft(1)
    save_file(weights, tmp_path / "head.safetensors")
    again = HeadBank(HeadConfig(classes=3), WIDTH)
    again.load_peft(0, settings, load_file(tmp_path / "head.safetensors"))
    assert torch.equal(again.weights[0], bank.weights[1])
    for message, given_settings, given_weights in (
        ("does not fit", settings, {**weights, "weight": weights["weight"][:2]}),
        ("is missing", settings, {"weight": weights["weight"]}),
        ("belongs to none", settings, {**weights, "more": weights["bias"]}),
        ("not finite", settings, {**weights, "bias": weights["bias"] * float("nan")}),
        ("'LORA'", {"peft_type": "LORA"}, weights),
    ):
        with pytest.raises(AdapterError, match=message):
            again.load_peft(0, given_settings, given_weights)
    assert torch.equal(again.weights[0], bank.weights[1])


def test_wrong_use_is_named() -> None:
    for wrong in ({"classes": 1}, {"classes": 2, "l2": -1.0}, {"classes": 2, "l2": float("nan")}):
        with pytest.raises(InputError, match=list(wrong)[-1]):
            HeadConfig(**wrong)
    with pytest.raises(InputError, match="slots=0"):
        HeadBank(HeadConfig(classes=2), WIDTH, slots=0)
    bank, (x, y) = HeadBank(HeadConfig(classes=3), WIDTH), examples(4, 3, 0)
    for slot, features, labels, message in (
        (1, x, y, "slot from 0 to 0"),
        (0, x[:, 1:], y, r"shape \(4, 4\)"),
        (0, x[:0], y[:0], r"shape \(0, 5\)"),
        (0, x * float("inf"), y, "not all finite"),
        (0, x, y[1:], r"labels of shape \(3,\)"),
        (0, x, y + 3, "from 0 to 2"),
        (0, x, y.float(), "torch.float32"),
    ):
        with pytest.raises(InputError, match=message):
            bank.fit({slot: (features, labels)})
    with pytest.raises(InputError, match="steps=0"):
        bank.fit({0: (x, y)}, steps=0)
