"""A vector before the output matrix against the closed form of its logits and its gradient."""

from __future__ import annotations

import pytest
import torch

from whet.adaptation import AdapterBank, TrainConfig, Trainer
from whet.adaptation.forms import VectorConfig
from whet.decoding import Sampling, generate
from whet.errors import AdapterError, ModelError
from whet.models import LanguageModel
from whet.models.packing import Reader
from whet.types import Example

IDS = torch.tensor([[0, 5, 6, 7, 9, 3], [0, 2, 2, 8, 1, 1]])
JOBS = [[Example(target="the cat sat on the mat")] * 3, [Example(target="one"), Example(target="two or three")]]


def filled(model: LanguageModel, slots: int = 2) -> AdapterBank:
    bank = AdapterBank(model.module, VectorConfig(), slots=slots)
    bank.weights.normal_(generator=torch.Generator().manual_seed(0))
    return bank


def moved(model: LanguageModel, ids: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """W (h + v) of the base model's last hidden states."""
    with torch.inference_mode():
        return model.module.get_output_embeddings()(model.module.base_model(ids).last_hidden_state + vector)


def test_logits_are_those_of_the_moved_states(tiny_model: LanguageModel) -> None:
    bank = filled(tiny_model)
    with torch.inference_mode(), bank.using(1):
        found = tiny_model.module(IDS).logits
        torch.testing.assert_close(tiny_model.module(IDS, logits_to_keep=1).logits, found[:, -1:])
    torch.testing.assert_close(found, moved(tiny_model, IDS, bank.weights[1]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_each_slot_moves_its_own_rows_once(tiny_model: LanguageModel, packs: bool, kept: bool) -> None:
    """Also where the pass begins with the last block, and where logits are made of the states afterwards."""
    bank, reader = filled(tiny_model), Reader(tiny_model)
    reader.__dict__["packs"] = packs
    rows = [[0, 5, 6], [0, 4, 4, 4, 1], [0, 2, 3]]
    with bank.attached(), torch.inference_mode():
        batch, block = reader.batch(rows), bank.bound.first_block
        assert block == tiny_model.layers - 1
        prefix = reader.prefix(batch, block) if kept else None
        bank.route([1, 0], [batch.rows[0], sum(batch.rows[1:])])
        found = reader.logits(reader.hidden(batch, prefix=prefix, block=block)).split(batch.lengths)
        assert reader.output is not None
    for slot, row, logits in zip((1, 0, 0), rows, found, strict=True):
        wanted = moved(tiny_model, torch.tensor([row]), bank.weights[slot])[0]
        torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=1e-4)


def test_training_follows_the_closed_gradient(tiny_model: LanguageModel) -> None:
    """Mean of (softmax of the logits − target) times the output matrix, given to Adam."""
    bank = AdapterBank(tiny_model.module, VectorConfig(), slots=2)
    for slot in range(2):
        bank.reset(slot, seed=slot)
    Trainer(tiny_model, bank, TrainConfig(lr=0.1)).run(dict(enumerate(JOBS)))
    matrix = tiny_model.module.get_output_embeddings().weight
    for slot, job in enumerate(JOBS):
        vector = torch.zeros(tiny_model.width, requires_grad=True)
        adam = torch.optim.Adam([vector], lr=0.1)
        for example in job:
            ids = torch.tensor([[tiny_model.start, *tiny_model.encode(example.target)]])
            error = moved(tiny_model, ids[:, :-1], vector.detach())[0].softmax(-1)
            error -= torch.nn.functional.one_hot(ids[0, 1:], error.shape[1])
            vector.grad = (error @ matrix).mean(0)
            adam.step()
        torch.testing.assert_close(bank.weights[slot], vector.detach(), atol=1e-4, rtol=1e-3)


def test_a_fresh_vector_changes_nothing_and_the_base_model_is_back_bit_for_bit(tiny_model: LanguageModel) -> None:
    bank = AdapterBank(tiny_model.module, VectorConfig())
    bank.reset(0, seed=3)
    with torch.inference_mode():
        before = tiny_model.module(IDS).logits
        with bank.using(0):
            assert torch.equal(tiny_model.module(IDS).logits, before)
        bank.weights.fill_(1.0)
        with bank.using(0):
            assert not torch.allclose(tiny_model.module(IDS).logits, before)
        with pytest.raises(KeyboardInterrupt), bank.using(0):
            raise KeyboardInterrupt
        assert torch.equal(tiny_model.module(IDS).logits, before)


def test_text_is_generated_with_the_vector(tiny_llama: LanguageModel) -> None:
    bank = filled(tiny_llama)
    ids = [tiny_llama.start, *tiny_llama.encode("the cat")]
    drawn: list[int] = []
    for _ in range(5):
        drawn.append(int(moved(tiny_llama, torch.tensor([[*ids, *drawn]]), bank.weights[0])[0, -1].argmax()))
    with bank.using(0):
        assert generate(tiny_llama, "the cat", Sampling(max_tokens=5)).text == tiny_llama.decode(drawn)


def test_written_and_read_again(tiny_llama: LanguageModel) -> None:
    bank = filled(tiny_llama)
    settings, weights = bank.to_peft(1)
    bank.load_peft(0, settings, weights)
    assert torch.equal(bank.weights[0], bank.weights[1])
    for wrong in ({}, {"vector": weights["vector"][1:]}, {**weights, "more": weights["vector"]}):
        with pytest.raises(AdapterError, match="does not fit the model"):
            bank.load_peft(0, settings, wrong)
    with pytest.raises(AdapterError, match="LORA"):
        bank.load_peft(0, {**settings, "peft_type": "LORA"}, weights)


def test_a_model_without_an_output_matrix_is_refused(tiny_llama: LanguageModel) -> None:
    for module in (torch.nn.Linear(2, 2), tiny_llama.module.base_model):
        with pytest.raises(ModelError, match="no output matrix"):
            AdapterBank(module, VectorConfig())
