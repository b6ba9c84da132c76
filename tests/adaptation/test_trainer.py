from __future__ import annotations

import pytest
import torch

from whet.adaptation import AdapterBank, LoraConfig, Trace, TrainConfig, Trainer
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

EXAMPLE = Example(target="many words that can be learnt by heart")


def run(model: LanguageModel, parts: list[int]) -> tuple[dict[str, torch.Tensor], list[Trace]]:
    bank = AdapterBank(model.module, LoraConfig(r=2))
    bank.reset(0, seed=5)
    trainer = Trainer(model, bank, TrainConfig(lr=0.02))
    traces = [trainer.run({0: [EXAMPLE] * n})[0] for n in parts]
    assert [trace.steps for trace in traces] == parts
    return bank.tensors(0), traces


def test_learns(tiny_model: LanguageModel) -> None:
    _, (trace,) = run(tiny_model, [12])
    assert trace.losses[-1] < 0.9 * trace.losses[0]
    assert trace.tokens == 12 * (1 + len(tiny_model.encode(EXAMPLE.text)))


def test_two_runs_equal_one_and_the_same_seed_the_same_weights(tiny_llama: LanguageModel) -> None:
    (one, _), (two, _) = run(tiny_llama, [5]), run(tiny_llama, [2, 3])
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_stops_when_told(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, LoraConfig(), slots=2)
    trainer = Trainer(tiny_llama, bank, TrainConfig())
    traces = trainer.run({0: [EXAMPLE] * 9, 1: [EXAMPLE] * 2}, stop=lambda steps: steps >= 4)
    assert [traces[slot].steps for slot in (0, 1)] == [4, 2]
    assert trainer.run({0: [EXAMPLE]}, stop=lambda _: True)[0].steps == 0


def test_many_tokens_are_read_in_several_passes(tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def tensors() -> list[dict[str, torch.Tensor]]:
        bank = AdapterBank(tiny_llama.module, LoraConfig(r=2), slots=3)
        for slot in range(3):
            bank.reset(slot, seed=slot)
        Trainer(tiny_llama, bank, TrainConfig()).run({slot: [EXAMPLE] * 2 for slot in range(3)})
        return [bank.tensors(slot) for slot in range(3)]

    together = tensors()
    monkeypatch.setattr("whet.adaptation.trainer._TOKENS_A_PASS", 30)
    for one, two in zip(together, tensors(), strict=True):
        for name in one:
            torch.testing.assert_close(one[name], two[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("wrong", [{"lr": 0.0}, {"lr": float("inf")}, {"objective": "some"}, {"clip": 0.0}])
def test_config_refuses(wrong) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        TrainConfig(**wrong)
