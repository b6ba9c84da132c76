from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from whet.adaptation import OBJECTIVES, AdapterBank, LoraConfig, TrainConfig, Trainer, check, hold_out
from whet.models import LanguageModel
from whet.types import Example

HELD_OUT = Example(target="the quick brown fox jumps over the lazy dog again")
NEAR = Example(target="the quick brown fox jumps over the lazy dog")


@given(st.lists(st.integers(0, 5), max_size=12))
def test_held_out_is_never_trained_on(numbers: list[int]) -> None:
    picks = [Example(target=f"text {n}") for n in numbers]
    train, held_out = hold_out(picks)
    if held_out is None:
        assert train == picks
        assert len(set(numbers)) < 2 or all(numbers.count(n) > 1 for n in numbers)
    else:
        assert held_out not in train
        assert len(train) == len(picks) - 1


def test_the_last_single_pick_is_held_out() -> None:
    picks = [Example(target=text) for text in ("one", "two", "three", "one")]
    assert hold_out(picks)[1] == Example(target="three")


def trained(model: LanguageModel) -> AdapterBank:
    bank = AdapterBank(model.module, LoraConfig())
    bank.reset(0, seed=0)
    Trainer(model, bank, TrainConfig(lr=0.01)).run({0: [NEAR] * 5})
    return bank


def test_keeps_what_helps(tiny_llama: LanguageModel) -> None:
    report = check(tiny_llama, trained(tiny_llama), 0, HELD_OUT, OBJECTIVES["all"]())
    assert report.status == "kept"
    assert report.after < report.before


def test_rolls_back_what_harms(tiny_llama: LanguageModel) -> None:
    bank = trained(tiny_llama)
    # away from what it learnt
    bank.load(0, {name: -tensor if name.endswith(".B") else tensor for name, tensor in bank.tensors(0).items()})
    report = check(tiny_llama, bank, 0, HELD_OUT, OBJECTIVES["all"]())
    assert report.status == "rolled_back"
    assert report.after > report.before


def test_rolls_back_what_is_not_finite(tiny_llama: LanguageModel) -> None:
    bank = trained(tiny_llama)
    bank.weights.fill_(float("nan"))
    assert check(tiny_llama, bank, 0, HELD_OUT, OBJECTIVES["all"]()).status == "rolled_back"
