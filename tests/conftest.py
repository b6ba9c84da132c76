"""Tiny random language models of four architectures, built offline in memory and shared by all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from whet.models import LanguageModel

ARCHITECTURES = ("llama", "qwen2", "gpt2", "phi")
_END = "<|endoftext|>"
_LINES = (
    "def area(width, height):\n    return width * height\n",
    "The examples nearest to the question are chosen, and the model learns from each of them once.\n",
    "for name in sorted(names):\n    print(name, names[name])\n",
    "A river carries stones to the plain; the stones grow round on the way.\n",
)

settings.register_profile("whet", deadline=None)  # how long an example takes is not what is tested
settings.load_profile("whet")


def _tokenizer() -> Any:
    """A byte-level BPE tokenizer with the whole byte alphabet, so that any text comes back as it was."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_LINES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=_END, eos_token=_END)


def _config(architecture: str, vocabulary: int, end: int) -> Any:
    """The configuration of a tiny model; initial weights are large enough for the context to matter."""
    from transformers import GPT2Config, LlamaConfig, PhiConfig, Qwen2Config

    ends = {"vocab_size": vocabulary, "bos_token_id": end, "eos_token_id": end, "initializer_range": 0.1}
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    if architecture == "llama":
        return LlamaConfig(**ends, **shape, num_key_value_heads=2, max_position_embeddings=128)
    if architecture == "qwen2":
        return Qwen2Config(**ends, **shape, num_key_value_heads=2, max_position_embeddings=96, tie_word_embeddings=True)
    if architecture == "gpt2":
        dropouts = {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1}  # must be off in evaluation mode
        return GPT2Config(**ends, **dropouts, n_embd=32, n_layer=2, n_head=4, n_positions=64)
    return PhiConfig(**ends, **(shape | {"num_attention_heads": 2}), max_position_embeddings=64)


def _build(architecture: str) -> LanguageModel:
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = _tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(ARCHITECTURES.index(architecture))
        model = AutoModelForCausalLM.from_config(_config(architecture, len(tokenizer), tokenizer.eos_token_id))
    return LanguageModel(model, tokenizer, f"tiny-{architecture}")


@pytest.fixture(scope="session", params=ARCHITECTURES)
def tiny_model(request: pytest.FixtureRequest) -> LanguageModel:
    """A random model of each of the four architectures in turn (hidden size 32, 2 layers, context 64 to 128)."""
    return _build(request.param)


@pytest.fixture(scope="session")
def tiny_llama() -> LanguageModel:
    """A random Llama of hidden size 32, 2 layers and a context of 128 tokens."""
    return _build("llama")


@pytest.fixture
def model_folder(tiny_llama: LanguageModel, tmp_path: Path) -> Path:
    """A folder that holds `tiny_llama` as save_pretrained writes it."""
    folder = tmp_path / "tiny-llama"
    tiny_llama.module.save_pretrained(folder)
    tiny_llama.tokenizer.save_pretrained(folder)
    return folder
