"""The search against all sequences that there are, and its cache against passes from the start."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.adaptation import AdapterBank, LoraConfig, PrefixConfig
from whet.decoding.depth_first import Continuation, DepthFirst
from whet.errors import InputError, ModelError
from whet.models import LanguageModel

STOP, VOCABULARY, LONGEST = 3, 5, 4


def tiny(kind: str = "llama", scale: float = 1.0, **more: Any) -> LanguageModel:
    """A random model of five tokens in float64."""
    from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    make = {"llama": LlamaConfig, "mistral": MistralConfig}[kind]
    config = make(
        vocab_size=VOCABULARY, num_key_value_heads=1, max_position_embeddings=16, initializer_range=0.5, **shape, **more
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(config).double()
    model.lm_head.weight.data *= scale
    return LanguageModel(model, None, f"tiny-{kind}")


MODEL = tiny()
WINDOWED = tiny("mistral", sliding_window=3)


def naive(model: LanguageModel, prompt: list[int], ids: tuple[int, ...]) -> float:
    """Log probability by one pass from the start."""
    with torch.no_grad():
        logits = model.module(torch.tensor([[*prompt, *ids]]), use_cache=False).logits[0]
    table = logits.log_softmax(-1)
    return sum(float(table[len(prompt) - 1 + place, token]) for place, token in enumerate(ids))


def every(model: LanguageModel, prompt: list[int], longest: int) -> Iterator[Continuation]:
    """All sequences that end with the stop token for the first time, however unlikely."""
    others = [token for token in range(VOCABULARY) if token != STOP]
    for length in range(longest):
        for path in product(others, repeat=length):
            ids = (*path, STOP)
            yield Continuation(ids, naive(model, prompt, ids))


def same(found: tuple[Continuation, ...], wanted: list[Continuation]) -> bool:
    return [one.ids for one in found] == [one.ids for one in wanted] and all(
        math.isclose(a.log_probability, b.log_probability, abs_tol=1e-9) for a, b in zip(found, wanted, strict=True)
    )


prompts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=5)


@given(prompts, st.floats(0.002, 0.5), st.integers(1, LONGEST), st.lists(st.integers(0, 4), max_size=6))
@settings(max_examples=25)
def test_exactly_those_above_the_bound_are_found_best_first_whatever_is_guessed(
    prompt: list[int], above: float, longest: int, guess: list[int]
) -> None:
    found = DepthFirst(MODEL).search(prompt, stop=STOP, above=above, max_tokens=longest, guess=guess)
    wanted = [one for one in every(MODEL, prompt, longest) if math.exp(one.log_probability) > above]
    assert same(found.continuations, sorted(wanted, key=lambda one: -one.log_probability))


@given(prompts, st.floats(0.002, 0.3), st.integers(1, LONGEST))
@settings(max_examples=15)
def test_it_is_complete_unless_a_path_that_was_cut_is_above_the_bound(
    prompt: list[int], above: float, longest: int
) -> None:
    found = DepthFirst(MODEL).search(prompt, stop=STOP, above=above, max_tokens=longest)
    others = [token for token in range(VOCABULARY) if token != STOP]
    cut = any(math.exp(naive(MODEL, prompt, path)) > above for path in product(others, repeat=longest))
    assert found.complete == (not cut)


@pytest.mark.parametrize("model", [MODEL, WINDOWED], ids=["full attention", "sliding windows"])
def test_one_search_after_another_finds_what_each_finds_alone(model: LanguageModel) -> None:
    one = DepthFirst(model)
    for prompt in ([0, 1, 2, 4], [0, 1, 4], [0, 1, 4], [0, 1], [2, 1, 0, 0, 1]):
        found = one.search(prompt, stop=STOP, above=0.01, max_tokens=3)
        wanted = [c for c in every(model, prompt, 3) if math.exp(c.log_probability) > 0.01]
        assert same(found.continuations, sorted(wanted, key=lambda c: -c.log_probability))
        assert math.isclose(one.log_probability(prompt, (1, 2, STOP)), naive(model, prompt, (1, 2, STOP)))


def test_every_architecture_goes_back_and_on_as_if_it_began_anew(tiny_model: LanguageModel) -> None:
    one = DepthFirst(tiny_model)
    for prompt, ids in (([5, 6, 7, 8], (9, 10)), ([5, 6, 7, 8], (9, 11, 12)), ([5, 6, 3], (1,)), ([4], (2, 1))):
        assert math.isclose(one.log_probability(prompt, ids), naive(tiny_model, prompt, ids), abs_tol=1e-3)


class Counting(torch.nn.Module):
    """The model, and how many tokens each pass reads."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.inner, self.config, self.device = model.module, model.module.config, torch.device("cpu")
        self.passes: list[int] = []

    def forward(self, ids: torch.Tensor, **how: Any) -> Any:
        self.passes.append(ids.shape[1])
        return self.inner(ids, **how)


def test_no_token_is_read_twice_at_the_same_place() -> None:
    counting = Counting(MODEL)
    one = DepthFirst(LanguageModel(counting, None, "counting"))
    found = one.search([0, 1, 2, 4], stop=STOP, above=0.01, max_tokens=3)
    assert counting.passes == [4] + [1] * (found.nodes - 1)
    counting.passes.clear()
    one.log_probability([0, 1, 2, 4, 0, 1], (2, STOP))
    assert counting.passes[0] <= 4
    counting.passes.clear()
    one.log_probability([0, 1, 2, 4, 0, 1], (4, 1, STOP))
    assert counting.passes == [3]  # the last token of the prompt, for what comes after it, and two of three


def test_a_guess_saves_a_pass_for_each_of_its_tokens_that_the_search_comes_through() -> None:
    counting = Counting(tiny(scale=6.0))
    model = LanguageModel(counting, None, "counting")
    asked: dict[str, Any] = {"stop": STOP, "above": 0.02, "max_tokens": 6}
    found = DepthFirst(model).search([2, 4], **asked)
    likeliest = found.continuations[0].ids
    assert len(likeliest) == 6
    assert len(counting.passes) == found.nodes
    for right in range(1, 6):
        wrong = next(token for token in range(VOCABULARY) if token not in (likeliest[right], STOP))
        counting.passes.clear()
        again = DepthFirst(model).search([2, 4], **asked, guess=(*likeliest[:right], STOP, wrong))
        assert same(again.continuations, list(found.continuations))
        assert len(counting.passes) == found.nodes - right


def test_limits_cut_and_say_so() -> None:
    all_of_it = DepthFirst(MODEL).search([0], stop=STOP, above=0.01, max_tokens=3)
    some = DepthFirst(MODEL).search([0], stop=STOP, above=0.01, max_tokens=3, max_nodes=all_of_it.nodes - 1)
    assert not some.complete
    assert some.nodes == all_of_it.nodes - 1
    assert set(some.continuations) <= set(all_of_it.continuations)
    full = [0] * MODEL.context
    end = DepthFirst(MODEL).search(full, stop=STOP, above=0.01, max_tokens=3)
    assert all(one.ids == (STOP,) for one in end.continuations)


@pytest.mark.parametrize("guess", [(), (0, 1)])
def test_it_ends_between_passes_when_it_may_not_go_on(guess: tuple[int, ...]) -> None:
    counting = Counting(MODEL)
    model = LanguageModel(counting, None, "counting")
    asked: dict[str, Any] = {"stop": STOP, "above": 0.01, "max_tokens": 3, "guess": guess}
    left = iter([True] * (4 + bool(guess)))
    ended = DepthFirst(model).search([0], **asked, go_on=lambda: next(left, False))
    assert ended == DepthFirst(MODEL).search([0], **asked, max_nodes=4)
    assert not ended.complete
    counting.passes.clear()
    nothing = DepthFirst(model).search([0], **asked, go_on=lambda: False)
    assert (nothing.continuations, nothing.complete, nothing.nodes) == ((), False, 0)
    assert not counting.passes


@pytest.mark.parametrize("form", [LoraConfig(r=2), PrefixConfig(num_virtual_tokens=3)], ids=["lora", "prefix"])
def test_adapters_are_searched_with_as_they_are(form: Any) -> None:
    bank = AdapterBank(MODEL.module, form, slots=2)
    bank.reset(0, seed=0)
    bank.weights[0].normal_(generator=torch.Generator().manual_seed(5)).mul_(0.5)
    prompt = [0, 1, 2]
    with bank.using(0):
        found = DepthFirst(MODEL).search(prompt, stop=STOP, above=0.01, max_tokens=3)
        wanted = [one for one in every(MODEL, prompt, 3) if math.exp(one.log_probability) > 0.01]
    assert same(found.continuations, sorted(wanted, key=lambda one: -one.log_probability))
    assert found.continuations != DepthFirst(MODEL).search(prompt, stop=STOP, above=0.01, max_tokens=3).continuations


@pytest.mark.parametrize(
    "wrong", [{"above": 0.0}, {"above": 1.0}, {"max_tokens": 0}, {"max_nodes": 0}, {"prompt": []}, {"prompt": [0] * 17}]
)
def test_what_cannot_be_searched_is_refused(wrong: dict[str, Any]) -> None:
    asked = {"prompt": [0], "stop": STOP, "above": 0.1, "max_tokens": 3} | wrong
    with pytest.raises(InputError):
        DepthFirst(MODEL).search(asked.pop("prompt"), **asked)


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be scored"):
        DepthFirst(MODEL).log_probability([0], ())
    with pytest.raises(InputError, match="cannot be scored"):
        DepthFirst(MODEL).log_probability([0], [1] * 17)


def test_a_model_that_has_diverged_is_named() -> None:
    with pytest.raises(ModelError, match="tiny-llama"):
        DepthFirst(tiny(scale=math.nan)).search([0], stop=STOP, above=0.1, max_tokens=3)
