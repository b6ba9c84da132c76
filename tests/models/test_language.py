"""Loading models, what is refused, and what a model says about itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.errors import InputError, ModelError
from whet.models import LanguageModel

_SHAPES = {"tiny-llama": 128, "tiny-qwen2": 96, "tiny-gpt2": 64, "tiny-phi": 64}


def test_shape_is_read_from_every_architecture(tiny_model: LanguageModel) -> None:
    assert tiny_model.context == _SHAPES[tiny_model.name]
    assert (tiny_model.width, tiny_model.layers) == (32, 2)
    assert tiny_model.start == tiny_model.end == tiny_model.tokenizer.eos_token_id


def test_the_weights_are_frozen_and_dropout_is_off(tiny_model: LanguageModel) -> None:
    assert not any(weight.requires_grad for weight in tiny_model.module.parameters())
    assert not any(module.training for module in tiny_model.module.modules())


def test_a_saved_model_comes_back_with_its_fingerprint(tiny_model: LanguageModel, tmp_path: Path) -> None:
    tiny_model.module.save_pretrained(tmp_path)
    tiny_model.tokenizer.save_pretrained(tmp_path)
    again = LanguageModel.from_pretrained(tmp_path)
    assert again.fingerprint == tiny_model.fingerprint
    assert again.name == str(tmp_path)
    assert (again.start, again.end, again.context) == (tiny_model.start, tiny_model.end, tiny_model.context)
    ids = torch.tensor([again.encode("def area(width):")])
    with torch.inference_mode():
        assert torch.equal(again.module(ids).logits, tiny_model.module(ids).logits)


def test_weights_in_half_precision_are_loaded_in_full(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    half = LanguageModel.from_pretrained(_saved(tiny_llama, tmp_path / "full")).module.to(torch.bfloat16)
    half.save_pretrained(folder)
    tiny_llama.tokenizer.save_pretrained(folder)
    loaded = LanguageModel.from_pretrained(folder)
    assert loaded.module.dtype == torch.float32
    assert len(LanguageModel(half, tiny_llama.tokenizer, "half").fingerprint) == 32


def test_the_fingerprint_changes_with_one_bit_of_one_weight(model_folder: Path) -> None:
    first = LanguageModel.from_pretrained(model_folder)
    second = LanguageModel.from_pretrained(model_folder)
    weight = second.module.get_parameter("model.layers.1.mlp.down_proj.weight")
    weight[3, 5] = torch.nextafter(weight[3, 5], torch.tensor(9.0))
    assert first.fingerprint != second.fingerprint


@settings(deadline=None)
@given(text=st.text())
def test_any_text_comes_back_from_its_tokens(tiny_llama: LanguageModel, text: str) -> None:
    assert tiny_llama.decode(tiny_llama.encode(text)) == text


def test_what_looks_like_a_special_token_is_read_as_text(tiny_model: LanguageModel) -> None:
    text = "before <|endoftext|> after"
    ids = tiny_model.encode(text)
    assert tiny_model.end not in ids
    assert tiny_model.decode(ids) == text
    assert tiny_model.decode([*ids, tiny_model.end or 0]) == text


def test_half_a_surrogate_pair_is_refused(tiny_llama: LanguageModel) -> None:
    with pytest.raises(InputError, match=r"'\\ud800' at character 2"):
        tiny_llama.encode("ab\ud800")


def test_start_and_end_of_a_tokenizer_without_them(tiny_llama: LanguageModel) -> None:
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=tiny_llama.tokenizer.backend_tokenizer)
    model = LanguageModel(tiny_llama.module, bare, "bare")
    assert (model.start, model.end) == (0, None)


def _saved(model: LanguageModel, folder: Path) -> Path:
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def _pickled(folder: Path) -> None:
    """Leave the weights only in the format that needs unpickling."""
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def _configured(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def _written(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_pickled, "no file named model.safetensors"),
        (_cut, "SafetensorError"),
        (_written("model.safetensors", ""), "SafetensorError"),
        (_written("config.json", '{"hidden_size": '), "not a valid JSON"),
        (_written("config.json", "[1]"), "TypeError"),
        (_written("config.json", "{}"), "model_type"),
        (_configured(model_type="vit"), "AutoModelForCausalLM"),
        (_configured(model_type="bert"), "weights of its shape are not in its files"),
        (_configured(num_hidden_layers=3), "9 weights .* such as model.layers.2"),
        (_configured(hidden_size=64), "RuntimeError"),
        (_configured(hidden_size="wide"), "hidden_size"),
        (_written("tokenizer.json", '{"version": '), "JSONDecodeError"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
    ],
)
def test_an_unfit_folder_is_refused(model_folder: Path, damage: Callable[[Path], None], reason: str) -> None:
    damage(model_folder)
    with pytest.raises(ModelError, match=reason) as caught:
        LanguageModel.from_pretrained(model_folder)
    assert str(model_folder) in str(caught.value)
    assert "a folder written by save_pretrained" in str(caught.value)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_folder_that_is_not_there_is_refused_without_asking_the_hub(tmp_path: Path, as_text: bool) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(ModelError, match="there is no such folder"):
        LanguageModel.from_pretrained(str(missing) if as_text else missing)


def test_a_device_that_is_not_there_is_refused(model_folder: Path) -> None:
    with pytest.raises(InputError, match="device='abacus'"):
        LanguageModel.from_pretrained(model_folder, device="abacus")
