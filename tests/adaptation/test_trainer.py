from __future__ import annotations

import pytest
import torch

from whet.adaptation import AdapterBank, Job, LoraConfig, Trace, TrainConfig, Trainer
from whet.errors import InputError
from whet.models import LanguageModel, precision
from whet.types import Example

EXAMPLE = Example(target="many words that can be learnt by heart")


def run(
    model: LanguageModel, parts: list[int], precision: str = "float32"
) -> tuple[dict[str, torch.Tensor], list[Trace]]:
    bank = AdapterBank(model.module, LoraConfig(r=2))
    bank.reset(0, seed=5)
    trainer = Trainer(model, bank, TrainConfig(lr=0.02, precision=precision))
    traces = [trainer.run({0: [EXAMPLE] * n})[0] for n in parts]
    assert [trace.steps for trace in traces] == parts
    return bank.tensors(0), traces


def test_learns(tiny_model: LanguageModel) -> None:
    _, (trace,) = run(tiny_model, [12])
    assert trace.losses[-1] < 0.9 * trace.losses[0]
    assert trace.tokens == 12 * len(tiny_model.encode(EXAMPLE.text))


def test_two_runs_equal_one_and_the_same_seed_the_same_weights(tiny_llama: LanguageModel) -> None:
    (one, _), (two, _) = run(tiny_llama, [5]), run(tiny_llama, [2, 3])
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("there", [True, False])
def test_products_in_bfloat16_change_little_and_only_where_the_processor_has_them(
    there: bool, tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there and not precision.computes_in_bfloat16():
        pytest.skip("this processor does not compute in bfloat16")
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda: there)
    (_, (plain,)), (_, (low,)) = run(tiny_llama, [5]), run(tiny_llama, [5], precision="bfloat16")
    assert (plain.losses == low.losses) is not there
    assert low.losses == pytest.approx(plain.losses, rel=0.01)


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


def test_jobs_beyond_the_slots_wait_their_turn(tiny_llama: LanguageModel) -> None:
    jobs = [Job([EXAMPLE] * n, seed=n) for n in (3, 1, 2, 1, 0)]
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2), slots=2)
    done = {one.job: one for one in Trainer(tiny_llama, bank, TrainConfig(lr=0.02)).run_jobs(jobs)}
    assert {number: one.trace.steps for number, one in done.items()} == {0: 3, 1: 1, 2: 2, 3: 1, 4: 0}
    for number, job in enumerate(jobs):
        alone = AdapterBank(tiny_llama.module, LoraConfig(r=2))
        alone.reset(0, seed=job.seed)
        Trainer(tiny_llama, alone, TrainConfig(lr=0.02)).run({0: job.examples})
        for name, tensor in alone.tensors(0).items():
            torch.testing.assert_close(done[number].tensors[name], tensor, atol=1e-5, rtol=1e-4)


def test_a_slot_may_leave_early(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2), slots=2)
    for slot in range(2):
        bank.reset(slot, seed=slot)
    traces = Trainer(tiny_llama, bank, TrainConfig()).run(
        {0: [EXAMPLE] * 4, 1: [EXAMPLE] * 4}, leave=lambda slot, trace: slot == 1 and trace.steps == 2
    )
    assert [traces[slot].steps for slot in (0, 1)] == [4, 2]


def test_every_second_step_on_the_same_example_may_reuse_the_gradient(tiny_llama: LanguageModel) -> None:
    """The same by hand: Adam gets each fresh gradient twice."""
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2))
    bank.reset(0, seed=1)
    config = TrainConfig(lr=0.02, reuse_gradients=True)
    trace = Trainer(tiny_llama, bank, config).run({0: [EXAMPLE] * 4})[0]
    assert trace.steps == 4
    assert trace.tokens == 2 * len(tiny_llama.encode(EXAMPLE.text))
    again = AdapterBank(tiny_llama.module, LoraConfig(r=2))
    again.reset(0, seed=1)
    trainer = Trainer(tiny_llama, again, TrainConfig(lr=0.02))
    for _ in range(2):
        trainer.run({0: [EXAMPLE]})
        again.nudge(0, again.gradient(0), trainer._optimiser)
    assert all(torch.equal(tensor, again.tensors(0)[name]) for name, tensor in bank.tensors(0).items())


@pytest.mark.parametrize(
    "wrong", [{"lr": 0.0}, {"lr": float("inf")}, {"objective": "some"}, {"clip": 0.0}, {"precision": "half"}]
)
def test_config_refuses(wrong) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        TrainConfig(**wrong)
