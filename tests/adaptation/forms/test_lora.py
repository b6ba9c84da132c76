"""LoRA against its closed form, against PEFT, and against what it must not do."""

from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import save_file

from whet.adaptation import AdapterBank, LoraConfig, TrainConfig, Trainer
from whet.errors import AdapterError, InputError, ModelError
from whet.models import LanguageModel
from whet.types import Example

TEXTS = [Example(target="the cat sat on the mat"), Example(target="def f(x):\n    return x + 1\n")]
CONFIGS = (LoraConfig(r=4), LoraConfig(r=4, use_rslora=True), LoraConfig(r=4, layers=1))


def logits(model: LanguageModel, text: str = "a dog ran over the hill") -> torch.Tensor:
    with torch.inference_mode():
        return model.module(torch.tensor([model.encode(text)])).logits.clone()


def trained(model: LanguageModel, config: LoraConfig = CONFIGS[0]) -> AdapterBank:
    bank = AdapterBank(model.module, config)
    bank.reset(0, seed=1)
    Trainer(model, bank, TrainConfig(lr=0.02)).run({0: TEXTS * 2})
    return bank


def adapted(model: LanguageModel, bank: AdapterBank) -> torch.Tensor:
    with bank.using(0):
        return logits(model)


def save(bank: AdapterBank, folder: Path) -> None:
    settings, weights = bank.to_peft(0)
    (folder / "adapter_config.json").write_text(json.dumps({**settings, "task_type": "CAUSAL_LM"}))
    save_file(weights, folder / "adapter_model.safetensors")


def test_base_model_is_back_bit_for_bit(tiny_model: LanguageModel) -> None:
    weights = {name: tensor.clone() for name, tensor in tiny_model.module.state_dict().items()}
    before = logits(tiny_model)
    bank = trained(tiny_model)
    assert not torch.allclose(adapted(tiny_model, bank), before, atol=1e-4)
    assert torch.equal(logits(tiny_model), before)
    after = tiny_model.module.state_dict()
    assert weights.keys() == after.keys()
    assert all(torch.equal(weights[name], after[name]) for name in weights)
    assert all(p.grad is None and not p.requires_grad for p in tiny_model.module.parameters())


def test_detached_also_when_the_block_raises(tiny_llama: LanguageModel) -> None:
    before, bank = logits(tiny_llama), trained(tiny_llama)
    with pytest.raises(KeyboardInterrupt), bank.using(0):
        raise KeyboardInterrupt
    assert torch.equal(logits(tiny_llama), before)


@pytest.mark.parametrize("config", CONFIGS)
def test_equals_merged_weights(tiny_model: LanguageModel, config: LoraConfig) -> None:
    """W x + s B A x against the same model with W + s B A written into its weights."""
    bank = trained(tiny_model, config)
    attached = adapted(tiny_model, bank)
    tensors, modules, saved = bank.tensors(0), dict(tiny_model.module.named_modules()), {}
    with torch.no_grad():
        for name in {name.rpartition(".")[0] for name in tensors}:
            weight = modules[name].weight
            saved[name] = weight.clone()
            change = config.scale * tensors[f"{name}.B"].T @ tensors[f"{name}.A"]
            weight += change.T if type(modules[name]).__name__ == "Conv1D" else change
        merged = logits(tiny_model)
        for name, weight in saved.items():
            modules[name].weight.copy_(weight)
    torch.testing.assert_close(attached, merged, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("config", CONFIGS)
def test_peft_loads_what_whet_writes(tiny_model: LanguageModel, config: LoraConfig, tmp_path: Path) -> None:
    bank = trained(tiny_model, config)
    ours = adapted(tiny_model, bank)
    save(bank, tmp_path)
    theirs = peft.PeftModel.from_pretrained(tiny_model.module, tmp_path)
    try:
        torch.testing.assert_close(logits(LanguageModel(theirs, tiny_model.tokenizer, "peft")), ours)
    finally:
        theirs.unload()


@pytest.mark.parametrize("use_rslora", [True, False])
def test_whet_loads_what_peft_writes(tiny_model: LanguageModel, use_rslora: bool) -> None:
    config = peft.LoraConfig(
        r=3, lora_alpha=6, use_rslora=use_rslora, target_modules="all-linear", init_lora_weights=False
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = peft.get_peft_model(tiny_model.module, config)
    try:
        wanted = logits(LanguageModel(theirs, tiny_model.tokenizer, "peft"))
        settings = {**config.to_dict(), "peft_type": "LORA"}
        weights = {name: tensor.clone() for name, tensor in peft.get_peft_model_state_dict(theirs).items()}
    finally:
        theirs.unload()
        tiny_model.module.requires_grad_(False)
    bank = AdapterBank(tiny_model.module, LoraConfig(r=3, lora_alpha=6, use_rslora=use_rslora))
    bank.load_peft(0, settings, weights)
    torch.testing.assert_close(adapted(tiny_model, bank), wanted)


def test_training_equals_training_with_peft(tiny_llama: LanguageModel) -> None:
    """The same first weights, examples and Adam give the same adapter in PEFT."""
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=4))
    bank.reset(0, seed=3)
    settings, first = bank.to_peft(0)
    Trainer(tiny_llama, bank, TrainConfig(lr=0.01)).run({0: TEXTS})
    _, ours = bank.to_peft(0)

    config = peft.LoraConfig(
        r=4, lora_alpha=16.0, lora_dropout=0.0, target_modules=settings["target_modules"], task_type="CAUSAL_LM"
    )
    model = peft.get_peft_model(tiny_llama.module, config)
    try:
        peft.set_peft_model_state_dict(model, first)
        adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
        for example in TEXTS:
            ids = torch.tensor([[tiny_llama.start, *tiny_llama.encode(example.text)]])
            model(ids, labels=ids).loss.backward()
            adam.step()
            adam.zero_grad()
        theirs = peft.get_peft_model_state_dict(model)
        assert theirs.keys() == ours.keys()
        for name, tensor in ours.items():
            torch.testing.assert_close(theirs[name], tensor, atol=1e-5, rtol=1e-3)
    finally:
        model.unload()
        tiny_llama.module.requires_grad_(False)


def test_convolutions_equal_those_of_peft() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(4, 6, 3, stride=2, padding=1), torch.nn.Conv1d(1, 2, 3))
    x = torch.randn(2, 4, 9, 9)
    config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=["0"], init_lora_weights=False)
    theirs = peft.get_peft_model(net, config)
    wanted = theirs.base_model.model[0](x)
    settings = {**config.to_dict(), "peft_type": "LORA"}
    weights = {name: tensor.clone() for name, tensor in peft.get_peft_model_state_dict(theirs).items()}
    net = theirs.unload()
    bank = AdapterBank(net, LoraConfig(r=2, lora_alpha=3, target_modules=("0",)), slots=2)
    bank.load_peft(1, settings, weights)
    with bank.attached():
        bank.route([0, 1], [1, 2])
        found = net[0](torch.cat([x[:1], x]))
        torch.testing.assert_close(found[1:], wanted)
        torch.testing.assert_close(found[:1], net[0].forward(x[:1]))


def test_target_modules_and_layers_limit_what_changes(tiny_llama: LanguageModel) -> None:
    names = AdapterBank(tiny_llama.module, LoraConfig(target_modules=("q_proj", "v_proj"))).tensors(0)
    assert {name.split(".")[-2] for name in names} == {"q_proj", "v_proj"}
    for layers in (1, 0.5):
        names = AdapterBank(tiny_llama.module, LoraConfig(layers=layers)).tensors(0)
        assert {name.split(".")[2] for name in names} == {"1"}


def test_output_matrix_is_never_a_target(tiny_model: LanguageModel) -> None:
    assert not [name for name in AdapterBank(tiny_model.module, LoraConfig()).tensors(0) if "lm_head" in name]


def test_a_head_of_more_than_one_matrix_is_left_out() -> None:
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
    names = AdapterBank(BertForMaskedLM(config), LoraConfig(r=2)).tensors(0)
    assert names
    assert all(name.startswith("bert.") for name in names)


def test_missing_target_is_named_with_what_there_is(tiny_llama: LanguageModel) -> None:
    with pytest.raises(ModelError, match=r"=q_porj: the model has no.*it has.*q_proj.*Did you mean q_proj\?"):
        AdapterBank(tiny_llama.module, LoraConfig(target_modules=("q_porj", "q_proj")))


@pytest.mark.parametrize("wrong", [{"r": 0}, {"lora_alpha": 0.0}, {"lora_alpha": float("nan")}])
def test_config_refuses(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        LoraConfig(**wrong)


def test_adapter_of_another_shape_is_refused(tiny_llama: LanguageModel) -> None:
    bank = trained(tiny_llama)
    settings, weights = bank.to_peft(0)
    name = next(iter(weights))
    with pytest.raises(AdapterError, match="does not fit"):
        bank.load_peft(0, settings, {**weights, name: weights[name][:, :-1]})
    with pytest.raises(AdapterError, match="is missing"):
        bank.load_peft(0, settings, {n: t for n, t in weights.items() if n != name})
    with pytest.raises(AdapterError, match="belongs to none"):
        bank.load_peft(0, settings, {**weights, "base_model.model.more": weights[name]})
    with pytest.raises(AdapterError, match="IA3"):
        bank.load_peft(0, {**settings, "peft_type": "IA3"}, weights)
