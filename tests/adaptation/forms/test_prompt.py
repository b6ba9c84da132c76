"""Soft prompts against PEFT's prompt tuning."""

from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import save_file

from whet.adaptation import AdapterBank
from whet.adaptation.forms import PromptConfig
from whet.errors import AdapterError
from whet.models import LanguageModel

COUNT = 5
IDS = torch.tensor([[0, 5, 6, 7, 9, 3]])


def logits(module: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return module(IDS).logits[:, -IDS.shape[1] :].clone()  # PEFT gives those of the virtual tokens too


def fresh(model: LanguageModel, seed: int = 1) -> AdapterBank:
    bank = AdapterBank(model.module, PromptConfig(COUNT))
    bank.reset(0, seed=seed)
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


def test_whet_loads_what_peft_writes(tiny_model: LanguageModel) -> None:
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=COUNT)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = peft.get_peft_model(tiny_model.module, config)
    wanted, weights = logits(theirs), peft.get_peft_model_state_dict(theirs)
    bank = AdapterBank(tiny_model.module, PromptConfig(COUNT))
    bank.load_peft(0, {**config.to_dict(), "peft_type": "PROMPT_TUNING"}, weights)
    torch.testing.assert_close(adapted(bank), wanted, atol=1e-5, rtol=1e-4)
    assert torch.equal(bank.to_peft(0)[1]["prompt_embeddings"], weights["prompt_embeddings"])


def test_a_fresh_prompt_is_made_of_words_by_its_seed(tiny_model: LanguageModel) -> None:
    vocabulary = tiny_model.module.get_input_embeddings().weight
    one, again, other = (fresh(tiny_model, seed).tensors(0)["prompt"] for seed in (1, 1, 2))
    assert all(bool((vocabulary == row).all(1).any()) for row in one)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_what_does_not_fit_is_refused(tiny_llama: LanguageModel) -> None:
    bank = fresh(tiny_llama)
    settings, weights = bank.to_peft(0)
    prompt = weights["prompt_embeddings"]
    for wrong in ({}, {"prompt_embeddings": prompt[:-1]}, {**weights, "more": prompt}):
        with pytest.raises(AdapterError, match="does not fit the model"):
            bank.load_peft(0, settings, wrong)
    with pytest.raises(AdapterError, match="PREFIX_TUNING"):
        bank.load_peft(0, {**settings, "peft_type": "PREFIX_TUNING"}, weights)
