"""Prefixes computed once against whole passes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from whet.adaptation import AdapterBank, LoraConfig, TrainConfig, Trainer
from whet.adaptation.prefixes import Prefixes
from whet.errors import InputError
from whet.memory import Shelf
from whet.models import LanguageModel
from whet.types import Example

TEXTS = [Example(target="the cat sat on the mat"), Example(target="def f(x):\n    return x + 1\n")]
PLAIN = TrainConfig(lr=0.01)
ROWS = [[0, 5, 6], [0, 7], [0, 5, 6]]


def train(model: LanguageModel, form: LoraConfig, config: TrainConfig = PLAIN) -> dict[str, torch.Tensor]:
    bank = AdapterBank(model.module, form, slots=2)
    for slot in range(2):
        bank.reset(slot, seed=1)
    Trainer(model, bank, config).run({0: TEXTS * 2, 1: TEXTS[:1]})
    return bank.tensors(0)


def test_training_behind_a_kept_prefix_equals_whole_passes(tiny_model: LanguageModel) -> None:
    last = set(AdapterBank(tiny_model.module, LoraConfig(r=2, layers=1)).tensors(0))
    names = tuple({name.split(".")[-2] for name in last})
    bank = AdapterBank(tiny_model.module, LoraConfig(r=2, layers=1, target_modules=names))
    bank.reset(0, seed=1)
    bank.bound.first_block = 0  # so that nothing is left out
    Trainer(tiny_model, bank, TrainConfig(lr=0.01)).run({0: TEXTS * 2})
    found = train(tiny_model, LoraConfig(r=2, layers=1, target_modules=names))
    for name, tensor in bank.tensors(0).items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=1e-4)


def test_nothing_is_computed_twice(tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    prefix = type(tiny_llama.reader).prefix
    monkeypatch.setattr(
        type(tiny_llama.reader),
        "prefix",
        lambda self, batch, block: read.append(len(batch.lengths)) or prefix(self, batch, block),
    )
    prefixes = Prefixes(tiny_llama, 1)
    states = prefixes.get(ROWS)
    assert read == [2]
    assert torch.equal(states[:3], states[-3:])
    assert torch.equal(prefixes.get(ROWS[1:2]), states[3:5])
    assert read == [2]


def test_a_byte_limit_holds_and_a_shelf_remembers(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "activations.sqlite")
    prefixes = Prefixes(tiny_llama, 1, limit_bytes=4 * 32 * 4, shelf=shelf)
    states = prefixes.get(ROWS)
    assert prefixes._bytes <= prefixes.limit_bytes
    assert torch.equal(Prefixes(tiny_llama, 1, shelf=shelf).get(ROWS), states)
    tiny = Prefixes(tiny_llama, 0, shelf=shelf).get(ROWS)  # another block is another key
    assert not torch.equal(tiny, states)


def test_prefixes_of_another_block_are_refused(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, LoraConfig(layers=1))
    with pytest.raises(InputError, match="begin in block 1"):
        Trainer(tiny_llama, bank, TrainConfig(), prefixes=Prefixes(tiny_llama, 0))


@pytest.mark.parametrize("layers", [None, 1])
def test_checkpointing_changes_no_weight(tiny_model: LanguageModel, layers: int | None) -> None:
    form = LoraConfig(r=2, layers=layers)
    plain = train(tiny_model, form)
    found = train(tiny_model, form, TrainConfig(lr=0.01, checkpointing=True))
    assert all("forward" not in vars(block) for block in tiny_model.reader.blocks)
    for name, tensor in plain.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-6, rtol=1e-5)
