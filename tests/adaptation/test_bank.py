"""A slot comes out as if it had been alone, whatever company it has and whenever it joins."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.adaptation import (
    AdapterBank,
    BiasNormConfig,
    LoraConfig,
    PrefixConfig,
    PromptConfig,
    TrainConfig,
    Trainer,
    VectorConfig,
)
from whet.adaptation.forms.base import Form
from whet.adaptation.objectives import NextToken
from whet.adaptation.objectives.base import read_lessons
from whet.errors import AdapterError, InputError
from whet.models import LanguageModel
from whet.types import Example

WORDS = ("river", "stone", "def f(x):", "return", "the", "round", "plain", "for name in names:")
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(lambda words: Example(target=" ".join(words)))
jobs = st.lists(st.lists(texts, min_size=1, max_size=4), min_size=1, max_size=5)
CONFIG = TrainConfig(lr=0.01, clip=1.0)


def distance(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    """Norm of the difference over the norm."""
    a, b = (torch.cat([tensor.flatten() for tensor in tensors.values()]) for tensors in (one, two))
    return float((a - b).norm() / a.norm())


def alone(model: LanguageModel, examples: list[Example], seed: int) -> dict[str, torch.Tensor]:
    bank = AdapterBank(model.module, LoraConfig(r=2))
    bank.reset(0, seed=seed)
    Trainer(model, bank, CONFIG).run({0: examples})
    return bank.tensors(0)


@pytest.fixture(scope="module")
def in_double(tiny_model: LanguageModel) -> LanguageModel:
    """The model with weights in float64."""
    return LanguageModel(copy.deepcopy(tiny_model.module).double(), tiny_model.tokenizer, tiny_model.name)


@settings(max_examples=15)
@given(jobs=jobs, order=st.randoms())
def test_alone_equals_together(in_double: LanguageModel, jobs: list[list[Example]], order) -> None:
    """In float64, where rounding is next to nothing, after all steps of Adam with clipping."""
    bank = AdapterBank(in_double.module, LoraConfig(r=2), slots=len(jobs))
    assert bank.weights.dtype == torch.float64
    slots = list(range(len(jobs)))
    order.shuffle(slots)
    for slot, seed in zip(slots, range(len(jobs)), strict=True):
        bank.reset(slot, seed=seed)
    Trainer(in_double, bank, CONFIG).run(dict(zip(slots, jobs, strict=True)))
    for slot, seed, job in zip(slots, range(len(jobs)), jobs, strict=True):
        assert distance(alone(in_double, job, seed), bank.tensors(slot)) < 1e-9


def gradients(model: LanguageModel, bank: AdapterBank, examples: dict[int, Example]) -> dict[int, torch.Tensor]:
    """The gradient of each slot's loss on its example, all read in one pass."""
    objective = NextToken()
    lessons = [objective.lesson(model, example) for example in examples.values()]
    with bank.attached():
        batch = read_lessons(model.reader, lessons)
        bank.route(list(examples), batch.rows, learn=True)
        objective.losses(model.reader, model.reader.hidden(batch), batch, lessons).sum().backward()
        return {slot: bank.gradient(place) for place, slot in enumerate(examples)}


@settings(max_examples=15)
@given(company=st.lists(texts.filter(lambda text: len(text.target.split()) > 6), min_size=2, max_size=6))
def test_in_single_precision_gradients_are_equal_but_for_rounding(
    tiny_model: LanguageModel, company: list[Example]
) -> None:
    """For texts that are looked for to be bad, up to as far as a gradient in float32 is from that in float64."""
    bank = AdapterBank(tiny_model.module, LoraConfig(r=2), slots=len(company))
    bank.weights.copy_(torch.randn(bank.weights.shape, generator=torch.Generator().manual_seed(0)) / 10)
    together = gradients(tiny_model, bank, dict(enumerate(company)))
    for slot, example in enumerate(company):
        only = gradients(tiny_model, bank, {slot: example})[slot]
        assert (together[slot] - only).norm() <= 1e-5 * only.norm()


def test_in_single_precision_adapters_are_mostly_equal_to_seven_digits(tiny_model: LanguageModel) -> None:
    jobs = [[Example(target=" ".join(WORDS[: 5 + (step + slot) % 4])) for step in range(5)] for slot in range(4)]
    bank = AdapterBank(tiny_model.module, LoraConfig(r=2), slots=4)
    for slot in range(4):
        bank.reset(slot, seed=slot)
    Trainer(tiny_model, bank, CONFIG).run(dict(enumerate(jobs)))
    for slot, job in enumerate(jobs):
        assert distance(alone(tiny_model, job, slot), bank.tensors(slot)) < 1e-6


def test_adapters_of_whet_base_are_equal_bit_for_bit() -> None:
    """Products and sweeps take each row for itself, in the same order whatever lies beside it."""
    pytest.importorskip("numba")
    model = LanguageModel.from_pretrained()
    jobs = [[Example(target=" ".join(WORDS[slot % 3 :] * (1 + slot))) for _ in range(3)] for slot in range(6)]
    bank = AdapterBank(model.module, LoraConfig(r=2), slots=6)
    for slot in range(6):
        bank.reset(slot, seed=slot)
    Trainer(model, bank, CONFIG).run(dict(enumerate(jobs)))
    for slot, job in enumerate(jobs):
        assert distance(alone(model, job, slot), bank.tensors(slot)) == 0


def test_a_slot_may_join_late_and_others_stay_as_they_are(tiny_llama: LanguageModel) -> None:
    first, second = [Example(target="one two three")] * 3, [Example(target="four five six seven")] * 2
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2), slots=3)
    for slot in range(3):
        bank.reset(slot, seed=slot)
    untouched = bank.tensors(1)
    trainer = Trainer(tiny_llama, bank, CONFIG)
    trainer.run({0: first[:1]})
    trainer.run({2: second, 0: first[1:]})
    assert distance(alone(tiny_llama, first, 0), bank.tensors(0)) < 1e-4
    assert distance(alone(tiny_llama, second, 2), bank.tensors(2)) < 1e-4
    assert distance(untouched, bank.tensors(1)) == 0


def test_a_slot_that_diverges_stops_and_the_others_go_on(tiny_llama: LanguageModel) -> None:
    job = [Example(target="one two three")] * 3
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2), slots=2)
    for slot in range(2):
        bank.reset(slot, seed=slot)
    bank.weights[1] = 1e30  # the first loss overflows
    before = bank.tensors(1)
    traces = Trainer(tiny_llama, bank, CONFIG).run({0: job, 1: job})
    assert traces[1].steps == 0
    assert "not finite in step 1" in traces[1].failed
    assert distance(before, bank.tensors(1)) == 0
    assert traces[0].steps == 3
    assert distance(alone(tiny_llama, job, 0), bank.tensors(0)) < 1e-4


def test_rows_go_to_their_slots_in_a_plain_network() -> None:
    """Linear layers and convolutions of any module, with a loss and a loop of one's own."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1, stride=2), torch.nn.Flatten(), torch.nn.Linear(16, 3)
    ).requires_grad_(False)
    x, y = torch.randn(5, 2, 4, 4), torch.randn(5, 3)
    form = LoraConfig(r=2, target_modules=("0", "2"))

    def train(slots: dict[int, slice], size: int) -> AdapterBank:
        bank = AdapterBank(net, form, slots=size)
        for slot in range(size):
            bank.reset(slot, seed=slot)
        rows = torch.cat([torch.arange(5)[part] for part in slots.values()])
        with bank.attached():
            for _ in range(3):
                bank.route(list(slots), [part.stop - part.start for part in slots.values()], learn=True)
                loss = (net(x[rows]) - y[rows]).square().mean(1)
                bank.routing.mean(loss).sum().backward()
                bank.step(lambda tensors: torch.optim.AdamW(tensors, lr=0.01))
        return bank

    together = train({1: slice(2, 5), 0: slice(0, 2)}, 2)
    only = train({1: slice(2, 5)}, 2)
    assert distance(only.tensors(1), together.tensors(1)) < 1e-5
    assert distance(only.tensors(0), together.tensors(0)) > 0.01


FORMS = (
    LoraConfig(r=2),
    LoraConfig(r=2, use_dora=True),
    PromptConfig(num_virtual_tokens=2),
    PrefixConfig(num_virtual_tokens=2),
    BiasNormConfig(),
    VectorConfig(),
)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{type(form).__name__}{getattr(form, 'use_dora', '')}")
def test_gradients_of_many_slots_give_no_warning(model_folder: Path, form: Form, dtype) -> None:
    model = LanguageModel.from_pretrained(model_folder, dtype=dtype)
    bank = AdapterBank(model.module, form, slots=3)
    for slot in range(3):
        bank.reset(slot, seed=slot)
    job = [Example(target="one two three")] * 2
    config = replace(CONFIG, checkpointing=isinstance(form, LoraConfig) and dtype == "float32")
    torch.set_warn_always(True)
    try:
        traces = Trainer(model, bank, config).run(dict.fromkeys((2, 0), job))
    finally:
        torch.set_warn_always(False)
    assert all(trace.steps == 2 for trace in traces.values())
    before = AdapterBank(model.module, form)
    before.reset(0, seed=2)
    assert not torch.equal(bank.weights[2], before.weights[0])


def test_a_fresh_bank_changes_nothing_and_a_released_one_neither(tiny_model: LanguageModel) -> None:
    ids = torch.tensor([[1, 2, 3]])
    with torch.inference_mode():
        before = tiny_model.module(ids).logits
        bank = AdapterBank(tiny_model.module, LoraConfig())
        with bank.using(0):
            assert torch.equal(tiny_model.module(ids).logits, before)
        bank.weights.fill_(0.1)
        with bank.attached():
            assert torch.equal(tiny_model.module(ids).logits, before)
        assert torch.equal(tiny_model.module(ids).logits, before)


def test_wrong_use_is_named(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2), slots=2)
    with pytest.raises(InputError, match="slots=0"):
        AdapterBank(tiny_llama.module, LoraConfig(), slots=0)
    with pytest.raises(InputError, match="r=33 is above the size"):
        AdapterBank(tiny_llama.module, LoraConfig(r=33))
    with pytest.raises(InputError, match=r"layers=3.*from 1 to 2"):
        AdapterBank(tiny_llama.module, LoraConfig(layers=3))
    for slots, rows in (([0, 0], [1, 1]), ([2], [1]), ([0], [1, 1])):
        with pytest.raises(InputError, match="different slots from 0 to 1"):
            bank.route(slots, rows)
    with pytest.raises(InputError, match="call route"):
        _ = bank.routing
    tensors = bank.tensors(0)
    name = next(iter(tensors))
    for wrong in ({}, {**tensors, name: tensors[name][:, :1]}, {**tensors, name: tensors[name] * float("nan")}):
        with pytest.raises(AdapterError, match="an adapter cannot be loaded"):
            bank.load(0, wrong)


def test_adapters_of_a_model_in_bfloat16_are_kept_in_float32(model_folder: Path) -> None:
    full, half = (LanguageModel.from_pretrained(model_folder, dtype=dtype) for dtype in ("float32", "bfloat16"))
    assert half.module.dtype == torch.bfloat16
    job = [Example(target="one two three")] * 4
    losses = []
    for model in (full, half):
        bank = AdapterBank(model.module, LoraConfig(r=2), slots=2)
        for slot in range(2):
            bank.reset(slot, seed=slot)
        losses.append(Trainer(model, bank, TrainConfig(lr=0.01)).run({1: job, 0: job})[1].losses)
        assert bank.weights.dtype == torch.float32
    assert losses[1] == pytest.approx(losses[0], rel=0.03)
    assert losses[1][-1] < 0.95 * losses[1][0]


def test_slots_that_share_an_optimiser_keep_their_own_state() -> None:
    """A slot that is reset begins anew while the others go on; one that has begun keeps the rate it began with."""

    def run(rates: list[float], *, reset: bool) -> torch.Tensor:
        torch.manual_seed(0)
        net = torch.nn.Linear(4, 3).requires_grad_(False)
        bank = AdapterBank(net, LoraConfig(r=2, target_modules=("",)), slots=2)
        for slot in range(2):
            bank.reset(slot, seed=slot)
        makes = {rate: partial(torch.optim.Adam, lr=rate) for rate in rates}
        with bank.attached():
            for step, rate in enumerate(rates):
                if reset and step == 2:
                    bank.reset(1, seed=1)
                bank.route([0, 1], [2, 2], learn=True)
                net(torch.arange(16.0).view(4, 4).cos()).sum().backward()
                bank.step(makes[rate])
        return bank.weights.clone()

    assert torch.equal(run([0.1] * 4, reset=True)[0], run([0.1] * 4, reset=False)[0])
    assert torch.equal(run([0.1] * 4, reset=True)[1], run([0.1] * 2, reset=False)[1])
    assert torch.equal(run([0.1, 0.1, 0.3, 0.3], reset=False), run([0.1] * 4, reset=False))
    assert torch.equal(run([0.1, 0.1, 0.3, 0.3], reset=True)[1], run([0.3, 0.3], reset=False)[1])
