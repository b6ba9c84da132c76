from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from whet.adaptation import LoraAdapter, LoraConfig, TrainConfig, Trainer, check, hold_out
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


def test_keeps_what_helps(tiny_llama: LanguageModel) -> None:
    adapter = LoraAdapter.fresh(tiny_llama, LoraConfig(), seed=0)
    Trainer(tiny_llama, adapter, TrainConfig(lr=0.01)).run([NEAR] * 5)
    report = check(tiny_llama, adapter, HELD_OUT, "all")
    assert report.status == "kept"
    assert report.after < report.before


def test_rolls_back_what_harms(tiny_llama: LanguageModel) -> None:
    adapter = LoraAdapter.fresh(tiny_llama, LoraConfig(), seed=0)
    Trainer(tiny_llama, adapter, TrainConfig(lr=0.01)).run([NEAR] * 5)
    with torch.no_grad():
        for _, b in adapter.pairs.values():
            b.neg_()  # away from what it learnt
    report = check(tiny_llama, adapter, HELD_OUT, "all")
    assert report.status == "rolled_back"
    assert report.after > report.before


def test_rolls_back_what_is_not_finite(tiny_llama: LanguageModel) -> None:
    adapter = LoraAdapter.fresh(tiny_llama, LoraConfig(), seed=0)
    with torch.no_grad():
        adapter.parameters[1].fill_(float("nan"))
    assert check(tiny_llama, adapter, HELD_OUT, "all").status == "rolled_back"
