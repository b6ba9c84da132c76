"""LoRA against its closed form, against PEFT, and against what it must not do."""

from __future__ import annotations

import json

import peft
import pytest
import torch
from safetensors.torch import save_file

from whet.adaptation import LoraAdapter, LoraConfig, TrainConfig, Trainer
from whet.errors import AdapterError, InputError, ModelError
from whet.models import LanguageModel
from whet.types import Example

TEXTS = [Example(target="the cat sat on the mat"), Example(target="def f(x):\n    return x + 1\n")]


def logits(model: LanguageModel, text: str = "a dog ran over the hill") -> torch.Tensor:
    with torch.inference_mode():
        return model.module(torch.tensor([model.encode(text)])).logits.clone()


def trained(model: LanguageModel, config: LoraConfig | None = None) -> LoraAdapter:
    adapter = LoraAdapter.fresh(model, config or LoraConfig(r=4), seed=1)
    Trainer(model, adapter, TrainConfig(lr=0.02)).run(TEXTS * 2)
    return adapter


def test_fresh_adapter_changes_nothing(tiny_model: LanguageModel) -> None:
    before = logits(tiny_model)
    with LoraAdapter.fresh(tiny_model, LoraConfig(), seed=0).attached(tiny_model):
        assert torch.equal(logits(tiny_model), before)


def test_base_model_is_back_bit_for_bit(tiny_model: LanguageModel) -> None:
    weights = {name: tensor.clone() for name, tensor in tiny_model.module.state_dict().items()}
    before = logits(tiny_model)
    adapter = trained(tiny_model)
    with adapter.attached(tiny_model):
        assert not torch.allclose(logits(tiny_model), before, atol=1e-4)
    assert torch.equal(logits(tiny_model), before)
    after = tiny_model.module.state_dict()
    assert weights.keys() == after.keys()
    assert all(torch.equal(weights[name], after[name]) for name in weights)
    assert all(p.grad is None and not p.requires_grad for p in tiny_model.module.parameters())


def test_detached_also_when_the_block_raises(tiny_llama: LanguageModel) -> None:
    before, adapter = logits(tiny_llama), trained(tiny_llama)
    with pytest.raises(KeyboardInterrupt), adapter.attached(tiny_llama):
        raise KeyboardInterrupt
    assert torch.equal(logits(tiny_llama), before)


def test_equals_merged_weights(tiny_model: LanguageModel) -> None:
    """W x + (α/r) B A x against the same model with W + (α/r) B A written into its weights."""
    adapter = trained(tiny_model)
    with adapter.attached(tiny_model):
        attached = logits(tiny_model)
    scale = adapter.config.lora_alpha / adapter.config.r
    modules = dict(tiny_model.module.named_modules())
    saved = {}
    with torch.no_grad():
        for name, (a, b) in adapter.pairs.items():
            weight = modules[name].weight
            saved[name] = weight.clone()
            weight += scale * ((b @ a).T if adapter.fan_in_fan_out else b @ a)
        merged = logits(tiny_model)
        for name, weight in saved.items():
            modules[name].weight.copy_(weight)
    torch.testing.assert_close(attached, merged, atol=2e-5, rtol=1e-4)


def test_peft_loads_what_whet_writes(tiny_model: LanguageModel, tmp_path) -> None:
    adapter = trained(tiny_model)
    with adapter.attached(tiny_model):
        ours = logits(tiny_model)
    settings, weights = adapter.to_peft("base")
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    save_file(weights, tmp_path / "adapter_model.safetensors")
    theirs = peft.PeftModel.from_pretrained(tiny_model.module, tmp_path)
    try:
        torch.testing.assert_close(logits(LanguageModel(theirs, tiny_model.tokenizer, "peft")), ours)
    finally:
        theirs.unload()


def test_training_equals_training_with_peft(tiny_llama: LanguageModel) -> None:
    """The same first weights, examples and Adam give the same adapter in PEFT."""
    adapter = LoraAdapter.fresh(tiny_llama, LoraConfig(r=4), seed=3)
    settings, first = adapter.to_peft("base")
    first = {name: tensor.clone() for name, tensor in first.items()}
    Trainer(tiny_llama, adapter, TrainConfig(lr=0.01)).run(TEXTS)
    _, ours = adapter.to_peft("base")

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


def test_round_trip_through_peft_format(tiny_model: LanguageModel) -> None:
    adapter = trained(tiny_model)
    again = LoraAdapter.from_peft(tiny_model, *adapter.to_peft("base"))
    with adapter.attached(tiny_model):
        before = logits(tiny_model)
    with again.attached(tiny_model):
        assert torch.equal(logits(tiny_model), before)


def test_target_modules_limit_what_changes(tiny_llama: LanguageModel) -> None:
    adapter = LoraAdapter.fresh(tiny_llama, LoraConfig(target_modules=("q_proj", "v_proj")), seed=0)
    assert {name.rsplit(".", 1)[-1] for name in adapter.pairs} == {"q_proj", "v_proj"}


def test_output_matrix_is_never_a_target(tiny_model: LanguageModel) -> None:
    assert not [name for name in LoraAdapter.fresh(tiny_model, LoraConfig(), seed=0).pairs if "lm_head" in name]


def test_missing_target_is_named_with_what_there_is(tiny_llama: LanguageModel) -> None:
    with pytest.raises(ModelError, match=r"no linear module named c_attn.*it has.*q_proj"):
        LoraAdapter.fresh(tiny_llama, LoraConfig(target_modules=("c_attn", "q_proj")), seed=0)


@pytest.mark.parametrize("wrong", [{"r": 0}, {"lora_alpha": 0.0}, {"lora_alpha": float("nan")}])
def test_config_refuses(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        LoraConfig(**wrong)


def test_adapter_of_another_shape_is_refused(tiny_llama: LanguageModel) -> None:
    settings, weights = trained(tiny_llama).to_peft("base")
    name = next(iter(weights))
    with pytest.raises(AdapterError, match="does not fit"):
        LoraAdapter.from_peft(tiny_llama, settings, {**weights, name: weights[name][:, :-1]})
    with pytest.raises(AdapterError, match="is missing"):
        LoraAdapter.from_peft(tiny_llama, settings, {n: t for n, t in weights.items() if n != name})
    with pytest.raises(AdapterError, match="IA3"):
        LoraAdapter.from_peft(tiny_llama, {**settings, "peft_type": "IA3"}, weights)
