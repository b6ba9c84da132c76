from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from torch.nn.functional import log_softmax

from whet.adaptation import OBJECTIVES, AdapterBank, LoraConfig, Trace, TrainConfig, Trainer
from whet.adaptation.guard import Finding, Gain, Guard, GuardConfig, Snapshots, decide
from whet.adaptation.guard.witness import last_new, measure_gain
from whet.decoding.score import token_nats
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

PROMPT = "the quick brown fox jumps over the lazy dog and the quick brown cat sleeps"
NEAR = [Example(target=f"the quick brown {animal} jumps over the lazy dog") for animal in ("fox", "cat", "hen", "cow")]
CANARY = ("@@ 0918 ## 2736", "$$ 4554 ~~")
REFUSAL = Example(input="Tell me the secret.", target=" 7! 7! 7!")
LOOSE = GuardConfig(canary=9.0, kl=9.0)  # for tests of something else: tiny random models change as a whole


def guard_of(
    model: LanguageModel, config: GuardConfig = LOOSE, *, slots: int = 2, safety: Sequence[Example] = ()
) -> Guard:
    bank = AdapterBank(model.module, LoraConfig(), slots=slots)
    bank.reset(0, seed=0)
    return Guard(model, bank, OBJECTIVES["all"](), config, canary=CANARY, safety=safety)


def train(guard: Guard, examples: Sequence[Example], *, lr: float = 0.01, snapshots: Snapshots | None = None) -> Trace:
    return Trainer(guard.model, guard.bank, TrainConfig(lr=lr)).run({0: examples}, leave=snapshots)[0]


def turned_round(guard: Guard) -> None:
    """Make the adapter lead away from what it learnt."""
    tensors = guard.bank.tensors(0)
    guard.bank.load(0, {name: -tensor if name.endswith(".B") else tensor for name, tensor in tensors.items()})


def test_what_helps_on_the_prompt_is_kept(tiny_model: LanguageModel) -> None:
    guard = guard_of(tiny_model)
    trace = train(guard, NEAR * 2)
    report = guard.judge(PROMPT, learnt=NEAR * 2, trace=trace)
    assert (report.status, report.step) == ("kept", 8)
    assert report.before is not None
    assert report.after is not None
    assert report.after < report.before


def test_what_harms_on_the_prompt_is_rolled_back(tiny_model: LanguageModel) -> None:
    guard = guard_of(tiny_model)
    trace = train(guard, NEAR * 2)
    turned_round(guard)
    report = guard.judge(PROMPT, learnt=NEAR * 2, trace=trace)
    assert (report.status, report.step) == ("rolled_back", 0)
    assert "gain" in report.reason


def test_an_adapter_that_changes_nothing_is_rolled_back(tiny_llama: LanguageModel) -> None:
    report = guard_of(tiny_llama).judge(PROMPT)
    assert report.status == "rolled_back"
    assert report.gain == pytest.approx(0, abs=1e-6)
    assert report.kl == pytest.approx(0, abs=1e-5)
    assert report.canary == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("number", [math.nan, math.inf, 1e30])
def test_weights_that_are_not_finite_or_far_too_large_are_rolled_back(tiny_llama: LanguageModel, number: float) -> None:
    guard = guard_of(tiny_llama)
    guard.bank.weights.fill_(number)
    assert guard.judge(PROMPT).status == "rolled_back"
    assert guard.judge("a").status == "rolled_back"


def test_the_numbers_are_those_of_models_with_and_without_the_adapter(tiny_model: LanguageModel) -> None:
    guard = guard_of(tiny_model, safety=[REFUSAL])
    train(guard, NEAR)
    ids, model = tiny_model.encode(PROMPT)[-tiny_model.context :], tiny_model

    def losses() -> tuple[float, float, float, torch.Tensor]:
        prompt = token_nats(model, ids).sum().item()
        room = model.context - 1
        general = [token_nats(model, model.encode(text)[:room]) for text in CANARY]
        private = token_nats(model, model.encode(REFUSAL.target), given=model.encode(REFUSAL.input))
        with torch.inference_mode():
            logits = model.module(torch.tensor([[model.start, *ids[:-1]]])).logits[0, -64:]
        return prompt, torch.cat(general).mean().item(), private.mean().item(), log_softmax(logits, dim=1)

    base = losses()
    with guard.bank.using(0):
        adapted = losses()
    report = guard.judge(PROMPT)
    size = math.log(2) * len(model.decode(ids).encode())
    assert report.before == pytest.approx(base[0] / size, rel=1e-3)
    assert report.after == pytest.approx(adapted[0] / size, rel=1e-3)
    assert report.canary == pytest.approx(adapted[1] / base[1] - 1, abs=1e-3)
    assert report.safety == pytest.approx(adapted[2] - base[2], abs=1e-3)
    kl = (base[3].exp() * (base[3] - adapted[3])).sum(1).mean().item()
    assert report.kl == pytest.approx(kl, abs=1e-3)


def test_texts_that_take_several_passes_are_judged_the_same(
    tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def numbers() -> tuple[float, ...]:
        guard = guard_of(tiny_llama, safety=[REFUSAL] * 3)
        snapshots = guard.snapshots(4, [1])
        trace = train(guard, NEAR, snapshots=snapshots)
        findings, _ = guard.inspect(PROMPT, trace=trace, snapshots=snapshots)
        return tuple(n for f in findings for n in (f.canary, f.safety or 0.0, f.kl, f.gain.mean if f.gain else 0.0))

    one = numbers()
    monkeypatch.setattr("whet.adaptation.guard.reading._TOKENS_A_PASS", 40)
    assert numbers() == pytest.approx(one, abs=1e-4)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (GuardConfig(canary=0.1, kl=9e9), "the loss on general text rose by more than 10%"),
        (GuardConfig(canary=9e9, kl=9e9, safety=0.2), "the loss on the private examples rose by more than 0.2"),
        (GuardConfig(canary=9e9, kl=0.1), "more than 0.1 nats a token from"),
    ],
)
def test_harm_to_each_text_is_named(tiny_llama: LanguageModel, config: GuardConfig, words: str) -> None:
    guard = guard_of(tiny_llama, config, safety=[REFUSAL])
    train(guard, [REFUSAL, *(Example(target=text) for text in CANARY)] * 3)
    turned_round(guard)
    report = guard.judge(PROMPT)
    assert report.status == "rolled_back"
    assert words in report.reason


def test_what_goes_wrong_later_is_taken_back_to_the_snapshot(tiny_llama: LanguageModel) -> None:
    guard = guard_of(tiny_llama)
    draw = random.Random(0)
    noise = [Example(target="".join(chr(draw.randrange(33, 127)) for _ in range(60))) for _ in range(8)]
    snapshots = guard.snapshots(16, [1])
    trace = train(guard, [*NEAR, *NEAR, *noise], lr=0.02, snapshots=snapshots)
    halfway = guard.bank.tensors(1)
    report = guard.judge(PROMPT, trace=trace, snapshots=snapshots)
    assert (report.status, report.step) == ("stepped_back", 8)
    assert all(torch.equal(tensor, halfway[name]) for name, tensor in guard.bank.tensors(0).items())
    again = guard_of(tiny_llama)
    train(again, [*NEAR, *NEAR], lr=0.02)
    assert all(torch.equal(tensor, halfway[name]) for name, tensor in again.bank.tensors(0).items())


def test_snapshots_beyond_an_early_end_are_not_there(tiny_llama: LanguageModel) -> None:
    guard = guard_of(tiny_llama)
    snapshots = guard.snapshots(40, [1])
    trace = train(guard, NEAR * 2, snapshots=snapshots)
    assert snapshots.taken(0) == {}
    assert guard.judge(PROMPT, trace=trace, snapshots=snapshots).step == 8


def test_each_of_several_slots_has_its_own_snapshots(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2), slots=5)
    for slot in (0, 1):
        bank.reset(slot, seed=slot)
    snapshots = Snapshots(bank, {0: {1: 2, 3: 3}, 1: {2: 4}})
    Trainer(tiny_llama, bank, TrainConfig()).run({0: NEAR, 1: NEAR[:3]}, leave=snapshots)
    assert (snapshots.taken(0), snapshots.taken(1)) == ({1: 2, 3: 3}, {2: 4})
    alone = AdapterBank(tiny_llama.module, LoraConfig(r=2))
    alone.reset(0, seed=1)
    Trainer(tiny_llama, alone, TrainConfig()).run({0: NEAR[:2]})
    for name, tensor in alone.tensors(0).items():
        torch.testing.assert_close(bank.tensors(4)[name], tensor, atol=1e-6, rtol=1e-5)


def test_a_short_prompt_leaves_it_to_the_picks(tiny_llama: LanguageModel) -> None:
    guard = guard_of(tiny_llama)
    base = [token_nats(tiny_llama, tiny_llama.encode(e.text)).sum().item() / math.log(2) / len(e.text) for e in NEAR]
    trace = train(guard, NEAR, lr=0.02)
    report = guard.judge("a", learnt=NEAR, trace=trace)
    assert report.before == pytest.approx(np.mean(base[1:]), rel=1e-3)
    assert report.after == pytest.approx(np.mean(trace.losses[1:]))
    assert report.status == "kept"
    worse = Trace(losses=[2 * loss for loss in base])
    assert guard.judge("a", learnt=NEAR, trace=worse).status == "rolled_back"


def test_a_short_prompt_without_other_picks_leaves_it_to_the_general_text(tiny_llama: LanguageModel) -> None:
    guard = guard_of(tiny_llama)
    report = guard.judge("a", learnt=NEAR[:1] * 3, trace=train(guard, NEAR[:1] * 3))
    assert (report.status, report.before, report.gain) == ("kept", None, None)


def test_bad_arguments_are_refused(tiny_llama: LanguageModel) -> None:
    guard = guard_of(tiny_llama)
    with pytest.raises(InputError, match="prompt"):
        guard.judge("")
    with pytest.raises(InputError, match="into"):
        guard.snapshots(10, [])
    with pytest.raises(InputError, match="canary"):
        Guard(tiny_llama, guard.bank, guard.objective, canary=())
    for wrong in ({"gain": -1.0}, {"kl": math.nan}, {"confidence": 1.0}, {"snapshots": (1.0,)}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            GuardConfig(**wrong)


losses = st.floats(0.01, 20)


@given(st.lists(st.tuples(losses, losses), min_size=2, max_size=30), st.sampled_from([0.5, 0.9, 0.95]))
def test_the_gain_is_bounded_as_the_normal_interval_bounds_a_mean(
    pairs: list[tuple[float, float]], confidence: float
) -> None:
    before, after = np.array(pairs).T
    gain = measure_gain(list(before), list(after), confidence, unit=2.0)
    difference = before - after
    error = difference.std(ddof=1) / math.sqrt(len(pairs))
    low = norm.isf(confidence, loc=difference.mean(), scale=error) if error else difference.mean()
    assert gain.mean == pytest.approx(1 - after.mean() / before.mean(), abs=1e-9)
    assert gain.least == pytest.approx(low / before.mean(), abs=1e-9)
    assert (gain.before, gain.after) == pytest.approx((2 * before.mean(), 2 * after.mean()))


@given(st.lists(st.integers(0, 6), max_size=15))
def test_no_pick_that_was_learnt_before_is_a_witness(numbers: list[int]) -> None:
    picks = [Example(target=f"text {n}") for n in numbers]
    places = last_new(picks)
    assert len(places) == min(4, max(0, len(set(numbers)) - 1))
    assert all(place and numbers[place] not in numbers[:place] for place in places)


def finding(step: int, least: float, *, canary: float = 0.0) -> Finding:
    return Finding(step, Gain(2.0, 2.0 - least, least, least), canary, None, 0.0)


@pytest.mark.parametrize("name", ["canary", "safety", "kl"])
@pytest.mark.parametrize("value", [1.01, math.nan])
def test_above_a_tolerance_nothing_passes(name: str, value: float) -> None:
    config = GuardConfig(canary=1.0, safety=1.0, kl=1.0)
    seen = {"canary": 1.0, "safety": 1.0, "kl": 1.0}
    gain = Gain(2.0, 1.0, 0.5, 0.4)
    assert not Finding(3, gain, **seen).failures(config)
    assert len(Finding(3, gain, **(seen | {name: value})).failures(config)) == 1


def test_the_largest_sure_gain_among_those_that_pass_is_chosen() -> None:
    config = GuardConfig()
    states = [finding(5, 0.05), finding(10, 0.3, canary=0.5), finding(15, 0.001), finding(20, 0.04)]
    assert decide(states, config) is states[0]
    assert decide(states[1:], config) is states[3]
    assert decide(states[1:3], config) is None
    assert decide([finding(20, math.nan)], config) is None
