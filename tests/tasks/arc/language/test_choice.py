from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from whet.errors import InputError, ModelError
from whet.models import LanguageModel
from whet.tasks.arc.language import choose


def saved(model: LanguageModel, folder: Path, tokenizer: Any = None) -> str:
    model.module.save_pretrained(folder)
    (tokenizer or model.tokenizer).save_pretrained(folder)
    return str(folder)


def small(tokenizer: Any, *, width: int) -> LanguageModel:
    """A Llama with the vocabulary of a tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=32,
    )
    return LanguageModel(LlamaForCausalLM(config), tokenizer, "small")


def test_the_serialisation_is_told_from_the_tokenizer(
    model: LanguageModel, tiny_llama: LanguageModel, tmp_path: Path
) -> None:
    own, text = (choose(saved(one, tmp_path / one.name)) for one in (model, small(tiny_llama.tokenizer, width=16)))
    assert (own.serialisation, text.serialisation) == ("minimal", "digits")
    assert own.name == str(tmp_path / "tiny")
    assert own.fingerprint == LanguageModel.from_pretrained(own.name).fingerprint
    assert own == choose(own.name)


def test_a_model_without_an_end_token_is_refused(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    endless = PreTrainedTokenizerFast(tokenizer_object=tiny_llama.tokenizer.backend_tokenizer)
    with pytest.raises(InputError, match="end token is None"):
        choose(saved(tiny_llama, tmp_path, endless))


def test_a_tokenizer_that_has_no_digits_is_refused(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"word": 0, "<end>": 1, "?": 2}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", unk_token="?")
    with pytest.raises(InputError, match="the tokenizer writes '0' as the tokens"):
        choose(saved(small(tokenizer, width=16), tmp_path))


def test_a_model_that_is_too_small_for_the_adapter_is_refused(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="r=16 is above the size"):
        choose(saved(small(tiny_llama.tokenizer, width=8), tmp_path))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing"):
        choose(str(tmp_path / "nothing"))
