"""Full fine-tuning against an optimiser on the model's own parameters."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from whet.adaptation import AdapterBank, TrainConfig, Trainer
from whet.adaptation.forms import FullConfig
from whet.errors import AdapterError, InputError, ModelError
from whet.models import LanguageModel
from whet.types import Example

TEXTS = [Example(target="the cat sat on the mat"), Example(target="def f(x):\n    return x + 1\n")]


@pytest.fixture(autouse=True)
def logits_of_the_whole_model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The output matrix is learnt here, so what is kept of the frozen one is of no use."""
    for name in {"tiny_model", "tiny_llama"} & set(request.fixturenames):
        monkeypatch.setitem(vars(request.getfixturevalue(name).reader), "output", None)


def logits(model: LanguageModel, text: str = "a dog ran over the hill") -> torch.Tensor:
    with torch.inference_mode():
        return model.module(torch.tensor([model.encode(text)])).logits.clone()


def trained(model: LanguageModel, config: FullConfig | None = None) -> AdapterBank:
    bank = AdapterBank(model.module, config or FullConfig())
    bank.reset(0, seed=1)
    Trainer(model, bank, TrainConfig(lr=0.003)).run({0: TEXTS * 2})
    return bank


def adapted(model: LanguageModel, bank: AdapterBank, slot: int = 0) -> torch.Tensor:
    with bank.using(slot):
        return logits(model)


@pytest.mark.parametrize("config", [FullConfig(), FullConfig(target_modules=("mlp",), layers=1)])
def test_training_equals_that_of_the_model_itself(tiny_model: LanguageModel, config: FullConfig) -> None:
    """Tied matrices stay one: the copy of the model has them tied as well."""
    bank = trained(tiny_model, config)
    ours, model = bank.tensors(0), deepcopy(tiny_model.module)
    learnt = {name: p for name, p in model.named_parameters() if name in ours}
    assert len(learnt) == len(ours)
    if config == FullConfig():
        assert len(ours) == len(list(model.parameters()))
    else:
        assert all(".1.mlp." in name for name in ours)
    adam = torch.optim.Adam([p.requires_grad_() for p in learnt.values()], lr=0.003)
    for example in TEXTS * 2:
        ids = torch.tensor([[tiny_model.start, *tiny_model.encode(example.text)]])
        model(ids, labels=ids).loss.backward()
        adam.step()
        adam.zero_grad()
    # the gradient of the biases of keys is zero but for rounding, which Adam makes steps of any direction of
    for name in (name for name in ours if "k_proj.bias" not in name and "c_attn.bias" not in name):
        torch.testing.assert_close(ours[name], learnt[name].detach(), atol=1e-4, rtol=1e-3)
    theirs = logits(LanguageModel(model, tiny_model.tokenizer, "copy"))
    torch.testing.assert_close(adapted(tiny_model, bank), theirs, atol=1e-3, rtol=1e-3)


def test_the_very_same_parameters_are_back_also_when_the_block_raises(tiny_model: LanguageModel) -> None:
    before, parameters = logits(tiny_model), list(tiny_model.module.named_parameters(remove_duplicate=False))
    weights = [p.clone() for _, p in parameters]
    bank = trained(tiny_model)
    assert not torch.allclose(adapted(tiny_model, bank), before, atol=1e-2)
    with pytest.raises(IndexError), bank.using(0):
        tiny_model.module(torch.tensor([[10**6]]))
    after = list(tiny_model.module.named_parameters(remove_duplicate=False))
    for (name, p), (now, q), weight in zip(parameters, after, weights, strict=True):
        assert name == now
        assert p is q
        assert torch.equal(q, weight)
        assert q.grad is None
        assert not q.requires_grad
    assert torch.equal(logits(tiny_model), before)


def test_fresh_weights_and_a_released_bank_change_nothing(tiny_model: LanguageModel) -> None:
    before, bank = logits(tiny_model), trained(tiny_model)
    with bank.using(0):
        logits(tiny_model)
        bank.release()
        assert torch.equal(logits(tiny_model), before)
    bank.reset(0, seed=3)
    assert torch.equal(adapted(tiny_model, bank), before)


def test_slots_do_not_see_each_other(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, FullConfig(), slots=2)
    jobs = {1: TEXTS[:1] * 2, 0: TEXTS}
    for slot in jobs:
        bank.reset(slot, seed=slot)
        Trainer(tiny_llama, bank, TrainConfig()).run({slot: jobs[slot]})
    for slot, job in jobs.items():
        only = AdapterBank(tiny_llama.module, FullConfig())
        only.reset(0, seed=0)
        Trainer(tiny_llama, only, TrainConfig()).run({0: job})
        assert torch.equal(only.weights[0], bank.weights[slot])


def test_parameters_that_another_module_reads_are_replaced_too() -> None:
    """`nn.MultiheadAttention` reads the weights of its output layer without calling it."""
    net = nn.MultiheadAttention(4, 2).eval().requires_grad_(False)
    x = torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(0))
    bank = AdapterBank(net, FullConfig())
    bank.weights.copy_(torch.randn(bank.weights.shape, generator=torch.Generator().manual_seed(1)))
    wanted = torch.func.functional_call(deepcopy(net), bank.tensors(0), (x, x, x))[0]
    with bank.using(0):
        torch.testing.assert_close(net(x, x, x)[0], wanted)


def test_what_is_stored_comes_back_and_fits_the_model_itself(tiny_model: LanguageModel) -> None:
    bank = trained(tiny_model)
    settings, weights = bank.to_peft(0)
    again = AdapterBank(tiny_model.module, FullConfig())
    again.load_peft(0, settings, weights)
    assert torch.equal(again.weights, bank.weights)
    model = deepcopy(tiny_model.module)
    model.load_state_dict(weights, strict=False)
    theirs = logits(LanguageModel(model, tiny_model.tokenizer, "copy"))
    assert torch.equal(adapted(tiny_model, bank), theirs)
    name = next(iter(weights))
    for message, given in {
        "does not fit": (settings, {**weights, name: weights[name][:-1]}),
        "is missing": (settings, {n: t for n, t in weights.items() if n != name}),
        "belongs to none": (settings, {**weights, "more": weights[name]}),
        "'LORA'": ({**settings, "peft_type": "LORA"}, weights),
    }.items():
        with pytest.raises(AdapterError, match=message):
            bank.load_peft(0, *given)


def test_wrong_use_is_named(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, FullConfig(), slots=2)
    with bank.attached():
        bank.route([0, 1], [1, 1])
        with pytest.raises(InputError, match="2 slots are routed, but full fine-tuning has one slot a pass"):
            logits(tiny_llama, "ab")
    with pytest.raises(ModelError, match=r"=mpl: the model has no such module.*Did you mean mlp\?"):
        AdapterBank(tiny_llama.module, FullConfig(target_modules="mpl"))
    with pytest.raises(ModelError, match=r"no parameters within target_modules=\('act_fn',\)"):
        AdapterBank(tiny_llama.module, FullConfig(target_modules=("act_fn",)))
