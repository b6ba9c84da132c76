"""Sequences read end to end against each read by itself."""

from __future__ import annotations

import pytest
import torch

from whet.errors import InputError
from whet.models import LanguageModel
from whet.models.packing import Reader

ROWS = [[0, 5, 6, 7], [0, 9, 8], [0, 1, 2], [0, 4, 4, 4, 4, 4, 1], [0]]


def apart(model: LanguageModel) -> torch.Tensor:
    return torch.cat([model.module(torch.tensor([row])).logits[0] for row in ROWS])


@pytest.mark.parametrize("packs", [True, False])
def test_logits_equal_those_of_each_sequence_alone(tiny_model: LanguageModel, packs: bool) -> None:
    reader = Reader(tiny_model)
    assert reader.packs
    reader.__dict__["packs"] = packs
    batch = reader.batch(ROWS)
    with torch.inference_mode():
        torch.testing.assert_close(reader.logits(reader.hidden(batch)), apart(tiny_model), atol=1e-5, rtol=1e-4)
    assert sum(batch.rows) == batch.ids.numel()


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("block", [0, 1])
def test_a_pass_may_start_behind_the_first_blocks(tiny_model: LanguageModel, packs: bool, block: int) -> None:
    reader = Reader(tiny_model)
    reader.__dict__["packs"] = packs
    batch = reader.batch(ROWS)
    with torch.inference_mode():
        prefix = reader.prefix(batch, block)
        assert prefix.shape == (sum(batch.lengths), tiny_model.width)
        torch.testing.assert_close(reader.hidden(batch, prefix=prefix, block=block), reader.hidden(batch))
        other = reader.hidden(batch, prefix=prefix * 2, block=block)
        assert not torch.allclose(other, reader.hidden(batch), atol=1e-3)


def test_the_model_is_as_before(tiny_model: LanguageModel) -> None:
    implementation = tiny_model.module.config._attn_implementation
    with torch.inference_mode():
        before = apart(tiny_model)
        reader = Reader(tiny_model)
        reader.logits(reader.hidden(reader.batch(ROWS), prefix=reader.prefix(reader.batch(ROWS), 1), block=1))
        assert torch.equal(apart(tiny_model), before)
    assert tiny_model.module.config._attn_implementation == implementation


def test_the_output_matrix_is_seen_only_where_logits_are_its_product(tiny_model: LanguageModel) -> None:
    weight, bias = Reader(tiny_model).output
    hidden = torch.randn(3, tiny_model.width, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.nn.functional.linear(hidden, weight, bias), Reader(tiny_model).logits(hidden))


@pytest.mark.parametrize("rows", [[], [[]], [[1] * 1000]])
def test_what_cannot_be_read_is_named(tiny_llama: LanguageModel, rows: list[list[int]]) -> None:
    with pytest.raises(InputError, match="1 to 128 tokens"):
        Reader(tiny_llama).batch(rows)


def test_a_soft_cap_on_the_logits_is_heeded() -> None:
    from transformers import AutoModelForCausalLM, Gemma2Config

    config = Gemma2Config(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, final_logit_softcapping=1.0, attn_logit_softcapping=1.0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LanguageModel(AutoModelForCausalLM.from_config(config), None, "tiny-gemma2")
    reader = Reader(model)
    assert reader.output is None
    assert not reader.packs  # its attention has a soft cap too
    with torch.inference_mode():
        found = reader.logits(reader.hidden(reader.batch(ROWS)))
        torch.testing.assert_close(found, apart(model), atol=1e-5, rtol=1e-4)
