"""DoRA against its closed form and against PEFT."""

from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from whet.adaptation import AdapterBank, LoraConfig, TrainConfig, Trainer
from whet.adaptation.forms.dora import _row_norms
from whet.errors import AdapterError, InputError
from whet.models import LanguageModel
from whet.types import Example

CONFIG = LoraConfig(r=4, use_dora=True)
TEXTS = [Example(target="the cat sat on the mat"), Example(target="def f(x):\n    return x + 1\n")]


def logits(model: LanguageModel, text: str = "a dog ran over the hill") -> torch.Tensor:
    with torch.inference_mode():
        return model.module(torch.tensor([model.encode(text)])).logits.clone()


def trained(model: LanguageModel, config: LoraConfig = CONFIG) -> AdapterBank:
    bank = AdapterBank(model.module, config)
    bank.reset(0, seed=1)
    Trainer(model, bank, TrainConfig(lr=0.02)).run({0: TEXTS * 2})
    return bank


def adapted(model: LanguageModel, bank: AdapterBank, slot: int = 0) -> torch.Tensor:
    with bank.using(slot):
        return logits(model)


@given(st.integers(0, 99), st.sampled_from([1e-3, 1.0, 30.0]))
def test_norms_are_those_of_the_matrix_that_is_never_made(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight, a, b = (torch.randn(shape, generator=generator) for shape in ((5, 7), (3, 2, 7), (3, 2, 5)))
    wanted = torch.stack([(weight + scale * up.T @ down).norm(dim=1) for down, up in zip(a, b, strict=True)])
    torch.testing.assert_close(_row_norms(weight, weight.square().sum(1), a, b, scale), wanted, rtol=1e-4, atol=1e-5)


def test_fresh_weights_change_nothing_and_the_base_model_is_back_bit_for_bit(tiny_model: LanguageModel) -> None:
    before = logits(tiny_model)
    weights = {name: tensor.clone() for name, tensor in tiny_model.module.state_dict().items()}
    bank = AdapterBank(tiny_model.module, CONFIG)
    bank.reset(0, seed=3)
    assert torch.equal(adapted(tiny_model, bank), before)
    bank = trained(tiny_model)
    assert not torch.allclose(adapted(tiny_model, bank), before, atol=1e-3)
    assert torch.equal(logits(tiny_model), before)
    after = tiny_model.module.state_dict()
    assert all(torch.equal(weights[name], after[name]) for name in weights)


def test_equals_the_model_with_the_matrix_written_into_it(tiny_model: LanguageModel) -> None:
    bank = trained(tiny_model)
    attached = adapted(tiny_model, bank)
    tensors, modules, saved = bank.tensors(0), dict(tiny_model.module.named_modules()), {}
    with torch.no_grad():
        for name in {name.rpartition(".")[0] for name in tensors}:
            module = modules[name]
            saved[name] = module.weight.clone()
            turned = type(module).__name__ == "Conv1D"
            matrix = (module.weight.T if turned else module.weight) + CONFIG.scale * tensors[f"{name}.B"].T @ tensors[
                f"{name}.A"
            ]
            matrix *= (tensors[f"{name}.m"] / matrix.norm(dim=1))[:, None]
            module.weight.copy_(matrix.T if turned else matrix)
        merged = logits(tiny_model)
        for name, weight in saved.items():
            modules[name].weight.copy_(weight)
    torch.testing.assert_close(attached, merged, atol=2e-5, rtol=1e-4)


def test_peft_loads_what_whet_writes(tiny_model: LanguageModel, tmp_path: Path) -> None:
    bank = trained(tiny_model)
    ours = adapted(tiny_model, bank)
    settings, weights = bank.to_peft(0)
    (tmp_path / "adapter_config.json").write_text(json.dumps({**settings, "task_type": "CAUSAL_LM"}))
    save_file(weights, tmp_path / "adapter_model.safetensors")
    theirs = peft.PeftModel.from_pretrained(tiny_model.module, tmp_path)
    try:
        torch.testing.assert_close(logits(LanguageModel(theirs, tiny_model.tokenizer, "peft")), ours)
    finally:
        theirs.unload()


def test_whet_loads_what_peft_writes(tiny_model: LanguageModel) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = peft.LoraConfig(r=3, lora_alpha=6, use_dora=True, target_modules="all-linear", init_lora_weights=False)
        theirs = peft.get_peft_model(tiny_model.module, config)
    try:
        with torch.no_grad():
            for name, parameter in theirs.named_parameters():
                if "magnitude" in name:
                    parameter *= 1.3
        wanted = logits(LanguageModel(theirs, tiny_model.tokenizer, "peft"))
        settings = {**config.to_dict(), "peft_type": "LORA"}
        weights = {name: tensor.clone() for name, tensor in peft.get_peft_model_state_dict(theirs).items()}
    finally:
        theirs.unload()
        tiny_model.module.requires_grad_(False)
    bank = AdapterBank(tiny_model.module, LoraConfig(r=3, lora_alpha=6, use_dora=True))
    bank.load_peft(0, settings, weights)
    torch.testing.assert_close(adapted(tiny_model, bank), wanted)


@pytest.mark.parametrize("use_rslora", [True, False])
def test_training_equals_training_with_peft(tiny_model: LanguageModel, use_rslora: bool) -> None:
    """The same first weights, examples and optimiser give the same adapter in PEFT."""
    bank = AdapterBank(tiny_model.module, LoraConfig(r=4, use_dora=True, use_rslora=use_rslora))
    bank.reset(0, seed=3)
    settings, first = bank.to_peft(0)
    Trainer(tiny_model, bank, TrainConfig(lr=0.01)).run({0: TEXTS})
    _, ours = bank.to_peft(0)
    wanted = {name: settings[name] for name in ("r", "lora_alpha", "use_dora", "use_rslora", "target_modules")}
    model = peft.get_peft_model(
        tiny_model.module, peft.LoraConfig(**wanted, fan_in_fan_out=settings["fan_in_fan_out"], task_type="CAUSAL_LM")
    ).eval()
    try:
        peft.set_peft_model_state_dict(model, first)
        adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
        for example in TEXTS:
            ids = torch.tensor([[tiny_model.start, *tiny_model.encode(example.text)]])
            model(ids, labels=ids).loss.backward()
            adam.step()
            adam.zero_grad()
        theirs = peft.get_peft_model_state_dict(model)
        assert theirs.keys() == ours.keys()
        for name, tensor in ours.items():
            torch.testing.assert_close(theirs[name], tensor, atol=2e-5, rtol=2e-3)
    finally:
        model.unload()
        tiny_model.module.requires_grad_(False)


def test_alone_equals_together(tiny_model: LanguageModel) -> None:
    """For slots with different rows, and with equally many."""
    jobs = {2: TEXTS * 2, 0: TEXTS[:1] * 3, 1: TEXTS[:1] * 3}
    bank = AdapterBank(tiny_model.module, CONFIG, slots=3)
    for slot in jobs:
        bank.reset(slot, seed=slot)
    Trainer(tiny_model, bank, TrainConfig(lr=0.01)).run(jobs)
    for slot, job in jobs.items():
        only = AdapterBank(tiny_model.module, CONFIG)
        only.reset(0, seed=slot)
        Trainer(tiny_model, only, TrainConfig(lr=0.01)).run({0: job})
        difference = (only.weights[0] - bank.weights[slot]).norm() / only.weights[0].norm()
        assert difference < 1e-4


def test_weights_that_change_while_they_are_in_use_are_used(tiny_llama: LanguageModel) -> None:
    bank, other = trained(tiny_llama), AdapterBank(tiny_llama.module, CONFIG)
    other.reset(0, seed=5)
    ids = torch.tensor([tiny_llama.encode("a dog")])
    with torch.inference_mode(), other.using(0):
        before = tiny_llama.module(ids).logits
        other.load(0, bank.tensors(0))
        after = tiny_llama.module(ids).logits
    with torch.inference_mode(), bank.using(0):
        assert torch.equal(after, tiny_llama.module(ids).logits)
    assert not torch.equal(before, after)


def test_a_row_of_zeros_does_no_harm() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3)).requires_grad_(False)
    net[0].weight[1] = 0
    x = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    bank = AdapterBank(net, LoraConfig(r=1, use_dora=True, target_modules=("0",)))
    bank.reset(0, seed=0)
    with bank.using(0):
        bank.route([0], [2], learn=True)
        found = net(x)
        found.sum().backward()
        assert bank.step(lambda rows: torch.optim.SGD(rows, lr=0.1)) == [0]
    assert torch.equal(found, net(x))


def test_convolutions_and_adapters_of_another_form_are_refused(tiny_llama: LanguageModel) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3))
    with pytest.raises(InputError, match="0 is a convolution"):
        AdapterBank(net, LoraConfig(r=1, use_dora=True, target_modules=("0",)))
    bank, plain = trained(tiny_llama), AdapterBank(tiny_llama.module, LoraConfig(r=4))
    settings, weights = bank.to_peft(0)
    name = next(name for name in weights if "magnitude" in name)
    with pytest.raises(AdapterError, match="use_dora=True"):
        plain.load_peft(0, settings, weights)
    with pytest.raises(AdapterError, match="use_dora=False"):
        bank.load_peft(0, *plain.to_peft(0))
    with pytest.raises(AdapterError, match="does not fit"):
        bank.load_peft(0, settings, {**weights, name: weights[name][:-1]})
    with pytest.raises(AdapterError, match="is missing"):
        bank.load_peft(0, settings, {n: t for n, t in weights.items() if n != name})
