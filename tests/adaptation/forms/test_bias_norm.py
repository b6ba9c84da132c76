"""Bias and norm tuning against the same values written into the model, and against PEFT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from whet.adaptation import AdapterBank, TrainConfig, Trainer
from whet.adaptation.forms import BiasNormConfig
from whet.errors import AdapterError, InputError, ModelError
from whet.models import LanguageModel
from whet.types import Example

TEXTS = [Example(target="the cat sat on the mat"), Example(target="def f(x):\n    return x + 1\n")]
NORMS = BiasNormConfig(biases=False)


def logits(model: LanguageModel, text: str = "a dog ran over the hill") -> torch.Tensor:
    with torch.inference_mode():
        return model.module(torch.tensor([model.encode(text)])).logits.clone()


def trained(model: LanguageModel, config: BiasNormConfig) -> AdapterBank:
    bank = AdapterBank(model.module, config)
    bank.reset(0, seed=1)
    Trainer(model, bank, TrainConfig(lr=0.02)).run({0: TEXTS * 2})
    return bank


def adapted(model: LanguageModel, bank: AdapterBank) -> torch.Tensor:
    with bank.using(0):
        return logits(model)


def random_slots(net: nn.Module, config: BiasNormConfig, slots: int) -> AdapterBank:
    bank = AdapterBank(net, config, slots=slots)
    bank.weights.copy_(torch.randn(bank.weights.shape, generator=torch.Generator().manual_seed(1)))
    return bank


class GemmaNorm(nn.Module):
    """A norm that adds 1 to its weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * (1 + self.weight)


class CubicNorm(GemmaNorm):
    """A norm that is not linear in its weight."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * self.weight**2


def test_fresh_weights_change_nothing_and_the_base_model_is_back_bit_for_bit(tiny_model: LanguageModel) -> None:
    before = logits(tiny_model)
    parameters = dict(tiny_model.module.named_parameters())
    weights = {name: tensor.clone() for name, tensor in parameters.items()}
    bank = AdapterBank(tiny_model.module, BiasNormConfig())
    bank.reset(0, seed=0)
    assert torch.equal(adapted(tiny_model, bank), before)
    bank = trained(tiny_model, BiasNormConfig())
    assert not torch.allclose(adapted(tiny_model, bank), before, atol=1e-3)
    assert torch.equal(logits(tiny_model), before)
    after = dict(tiny_model.module.named_parameters())
    assert all(after[name] is parameters[name] and torch.equal(weights[name], after[name]) for name in weights)


@pytest.mark.parametrize("config", [BiasNormConfig(), NORMS, BiasNormConfig(layers=1), BiasNormConfig(norms=False)])
def test_training_equals_that_of_the_parameters_themselves(tiny_model: LanguageModel, config: BiasNormConfig) -> None:
    """Adam on the very biases and norms of the model, which are then put back."""
    if not config.norms and tiny_model.name == "tiny-llama":
        with pytest.raises(ModelError, match="nothing to learn with biases=True, norms=False"):
            AdapterBank(tiny_model.module, config)
        return
    bank = trained(tiny_model, config)
    attached, ours = adapted(tiny_model, bank), bank.tensors(0)
    learnt = {name: p for name, p in tiny_model.module.named_parameters() if name in ours}
    saved = {name: p.detach().clone() for name, p in learnt.items()}
    assert len(learnt) == len(ours)
    try:
        adam = torch.optim.Adam([p.requires_grad_() for p in learnt.values()], lr=0.02)
        for example in TEXTS * 2:
            ids = torch.tensor([[tiny_model.start, *tiny_model.encode(example.text)]])
            tiny_model.module(ids, labels=ids).loss.backward()
            adam.step()
            adam.zero_grad()
        # the gradient of the biases of keys is zero but for rounding, which Adam makes steps of any direction of
        for name in (name for name in ours if "k_proj.bias" not in name and "c_attn.bias" not in name):
            torch.testing.assert_close(ours[name], learnt[name].detach(), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(attached, logits(tiny_model), atol=2e-4, rtol=1e-3)
    finally:
        with torch.no_grad():
            for name, p in learnt.items():
                p.copy_(saved[name]).requires_grad_(False).grad = None


@pytest.mark.parametrize("rows", [[2, 2], [1, 3]])
@pytest.mark.parametrize("norm", [nn.LayerNorm(6), nn.LayerNorm(6, bias=False), nn.RMSNorm(6), GemmaNorm(6)])
def test_norms_are_exact_for_every_routing_also_where_the_weight_is_zero(norm: nn.Module, rows: list[int]) -> None:
    net = nn.Sequential(norm).requires_grad_(False)
    norm.weight[2] = 0
    x = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(0))
    bank = random_slots(net, NORMS, 2)
    with bank.attached():
        bank.route([1, 0], rows)
        found = net(x).split(rows)
    for slot, ours, given in zip((1, 0), found, x.split(rows), strict=True):
        own = {name.removeprefix("0."): tensor for name, tensor in bank.tensors(slot).items()}
        torch.testing.assert_close(ours, torch.func.functional_call(norm, own, (given,)))


def test_biases_of_convolutions_and_linear_modules_are_exact() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4)).eval()
    net.requires_grad_(False)
    x = torch.randn(5, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    bank = random_slots(net, BiasNormConfig(norms=False), 2)
    assert set(bank.tensors(0)) == {"0.bias", "2.bias"}
    with bank.attached():
        bank.route([0, 1], [3, 2])
        found = net(x).split([3, 2])
    for slot, ours, given in zip((0, 1), found, x.split([3, 2]), strict=True):
        torch.testing.assert_close(ours, torch.func.functional_call(net, bank.tensors(slot), (given,)))


def test_alone_equals_together(tiny_model: LanguageModel) -> None:
    jobs = {2: TEXTS * 2, 0: TEXTS[:1] * 3, 1: TEXTS[:1] * 3}
    bank = AdapterBank(tiny_model.module, NORMS, slots=3)
    for slot in jobs:
        bank.reset(slot, seed=slot)
    Trainer(tiny_model, bank, TrainConfig(lr=0.01)).run(jobs)
    for slot, job in jobs.items():
        only = AdapterBank(tiny_model.module, NORMS)
        only.reset(0, seed=slot)
        Trainer(tiny_model, only, TrainConfig(lr=0.01)).run({0: job})
        torch.testing.assert_close(only.weights[0], bank.weights[slot], atol=1e-4, rtol=1e-3)


def test_peft_loads_the_norms_that_whet_writes(tiny_model: LanguageModel, tmp_path: Path) -> None:
    bank = trained(tiny_model, NORMS)
    ours = adapted(tiny_model, bank)
    settings, weights = bank.to_peft(0)
    (tmp_path / "adapter_config.json").write_text(json.dumps({**settings, "task_type": "CAUSAL_LM"}))
    save_file(weights, tmp_path / "adapter_model.safetensors")
    theirs = peft.PeftModel.from_pretrained(tiny_model.module, tmp_path)
    try:
        torch.testing.assert_close(logits(LanguageModel(theirs, tiny_model.tokenizer, "peft")), ours)
    finally:
        theirs.unload()
        tiny_model.module.requires_grad_(False)


def test_whet_loads_the_norms_that_peft_writes(tiny_llama: LanguageModel) -> None:
    names = ["input_layernorm", "post_attention_layernorm", "norm"]
    theirs = peft.get_peft_model(tiny_llama.module, peft.LNTuningConfig(target_modules=names))
    try:
        with torch.no_grad():
            for p in theirs.parameters():
                if p.requires_grad:
                    p += torch.randn(p.shape, generator=torch.Generator().manual_seed(0))
        wanted = logits(LanguageModel(theirs, tiny_llama.tokenizer, "peft"))
        weights = {name: tensor.clone() for name, tensor in peft.get_peft_model_state_dict(theirs).items()}
    finally:
        theirs.unload()
        tiny_llama.module.requires_grad_(False)
    bank = AdapterBank(tiny_llama.module, NORMS)
    bank.load_peft(0, {"peft_type": "LN_TUNING"}, weights)
    torch.testing.assert_close(adapted(tiny_llama, bank), wanted)


@pytest.mark.parametrize("config", [BiasNormConfig(), NORMS])
def test_what_is_stored_comes_back_and_nothing_else_is_taken(tiny_model: LanguageModel, config: BiasNormConfig) -> None:
    bank = trained(tiny_model, config)
    settings, weights = bank.to_peft(0)
    again = AdapterBank(tiny_model.module, config)
    again.load_peft(0, settings, weights)
    assert torch.equal(again.weights, bank.weights)
    name = next(iter(weights))
    wrong: dict[str, tuple[dict[str, Any], dict[str, torch.Tensor]]] = {
        "does not fit": (settings, {**weights, name: weights[name][:-1]}),
        "is missing": (settings, {n: t for n, t in weights.items() if n != name}),
        "belongs to none": (settings, {**weights, "more": weights[name]}),
        "'LORA'": ({**settings, "peft_type": "LORA"}, weights),
    }
    for message, given in wrong.items():
        with pytest.raises(AdapterError, match=message):
            bank.load_peft(0, *given)


def test_target_modules_and_layers_limit_what_is_learnt(tiny_llama: LanguageModel) -> None:
    names = AdapterBank(tiny_llama.module, BiasNormConfig(layers=1)).tensors(0)
    assert sorted(names) == [f"model.layers.1.{name}_layernorm.weight" for name in ("input", "post_attention")]
    names = AdapterBank(tiny_llama.module, BiasNormConfig(target_modules=("norm",))).tensors(0)
    assert list(names) == ["model.norm.weight"]


def test_wrong_use_is_named(tiny_llama: LanguageModel) -> None:
    with pytest.raises(InputError, match="biases=False, norms=False"):
        BiasNormConfig(biases=False, norms=False)
    with pytest.raises(ModelError, match=r"=norn: the model has no such module.*Did you mean norm\?"):
        AdapterBank(tiny_llama.module, BiasNormConfig(target_modules=("norn",)))
    with pytest.raises(InputError, match="layers=3"):
        AdapterBank(tiny_llama.module, BiasNormConfig(layers=3))
    with pytest.raises(ModelError, match="0, a CubicNorm, does not multiply"):
        AdapterBank(nn.Sequential(CubicNorm(4)), NORMS)
    bank = random_slots(nn.Sequential(nn.LayerNorm(4)), NORMS, 1)
    with bank.attached():
        bank.route([0], [3])
        with pytest.raises(InputError, match=r"0 reads a tensor of shape \(1, 2, 3, 4\)"):  # heads before tokens
            bank.module(torch.zeros(1, 2, 3, 4))
