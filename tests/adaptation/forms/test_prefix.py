"""Prefixes against PEFT's prefix tuning, and against a prompt that says the same."""

from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import save_file

from whet.adaptation import AdapterBank
from whet.adaptation.forms import PrefixConfig, PromptConfig
from whet.errors import AdapterError, ModelError
from whet.models import LanguageModel

COUNT = 5
IDS = torch.tensor([[0, 5, 6, 7, 9, 3]])


def logits(module: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return module(IDS).logits.clone()


def fresh(model: LanguageModel, form: PrefixConfig | PromptConfig = PrefixConfig(COUNT)) -> AdapterBank:  # noqa: B008
    bank = AdapterBank(model.module, form)
    bank.reset(0, seed=1)
    return bank


def adapted(bank: AdapterBank) -> torch.Tensor:
    with bank.using(0):
        return logits(bank.module)


def test_peft_loads_what_whet_writes(tiny_model: LanguageModel, tmp_path: Path) -> None:
    bank = fresh(tiny_model)
    settings, weights = bank.to_peft(0)
    (tmp_path / "adapter_config.json").write_text(json.dumps({**settings, "task_type": "CAUSAL_LM"}))
    save_file(weights, tmp_path / "adapter_model.safetensors")
    theirs = peft.PeftModel.from_pretrained(tiny_model.module, tmp_path)
    torch.testing.assert_close(logits(theirs), adapted(bank), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("projection", [False, True])
def test_whet_loads_what_peft_writes(tiny_model: LanguageModel, projection: bool) -> None:
    """A prefix that PEFT learnt through a network of its own is written as the keys and values that came out of it."""
    config = peft.PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=COUNT, prefix_projection=projection, encoder_hidden_size=8
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = peft.get_peft_model(tiny_model.module, config)
    wanted, weights = logits(theirs), peft.get_peft_model_state_dict(theirs)
    bank = AdapterBank(tiny_model.module, PrefixConfig(COUNT))
    bank.load_peft(0, {**config.to_dict(), "peft_type": "PREFIX_TUNING"}, weights)
    torch.testing.assert_close(adapted(bank), wanted, atol=1e-5, rtol=1e-4)
    assert torch.equal(bank.to_peft(0)[1]["prompt_embeddings"], weights["prompt_embeddings"])


def test_a_fresh_prefix_is_what_the_model_makes_of_a_fresh_prompt(tiny_model: LanguageModel) -> None:
    prompt = fresh(tiny_model, PromptConfig(COUNT))
    torch.testing.assert_close(adapted(fresh(tiny_model)), adapted(prompt), atol=1e-5, rtol=1e-4)
    assert torch.equal(fresh(tiny_model).weights, fresh(tiny_model).weights)


def test_what_does_not_fit_is_refused(tiny_llama: LanguageModel) -> None:
    bank = fresh(tiny_llama)
    settings, weights = bank.to_peft(0)
    rows = weights["prompt_embeddings"]
    for wrong in ({}, {"prompt_embeddings": rows[:, 1:]}, {**weights, "more": rows}):
        with pytest.raises(AdapterError, match="does not fit the model"):
            bank.load_peft(0, settings, wrong)
    with pytest.raises(AdapterError, match="PROMPT_TUNING"):
        bank.load_peft(0, {**settings, "peft_type": "PROMPT_TUNING"}, weights)


def test_keys_and_values_of_several_shapes_are_refused() -> None:
    from transformers import AutoModelForCausalLM, DeepseekV3Config

    config = DeepseekV3Config(
        vocab_size=16, hidden_size=16, intermediate_size=16, moe_intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, first_k_dense_replace=1, n_routed_experts=8, n_group=1,
        topk_group=1, q_lora_rank=8, kv_lora_rank=8, qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=6,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(ModelError, match="several shapes"):
        PrefixConfig(2).bind(model)
