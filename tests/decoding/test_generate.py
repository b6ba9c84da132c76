"""Generation against transformers' own, against uncached passes, and on scripted models where the answer is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from decoding.scripted import Scripted, byte_ids, saying, scripted
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.decoding import Generated, Sampling, generate
from whet.errors import InputError, ModelError
from whet.models import LanguageModel

_PROMPT = "def area(width, height):"


def _greedy_without_cache(model: LanguageModel, prompt: str, most: int) -> list[int]:
    ids = [model.start, *model.encode(prompt)]
    drawn: list[int] = []
    for _ in range(most):
        with torch.inference_mode():
            drawn.append(int(model.module(torch.tensor([ids + drawn]), use_cache=False).logits[0, -1].argmax()))
        if drawn[-1] == model.end:
            break
    return drawn


def test_greedy_is_what_transformers_generates(tiny_model: LanguageModel) -> None:
    ids = [tiny_model.start, *tiny_model.encode(_PROMPT)]
    with torch.inference_mode():
        output = tiny_model.module.generate(
            torch.tensor([ids]), do_sample=False, max_new_tokens=30, pad_token_id=tiny_model.end
        )[0].tolist()
    found = generate(tiny_model, _PROMPT, Sampling(max_tokens=30))
    assert found.tokens == len(output) - len(ids)
    assert found.prompt_tokens == len(ids)
    assert found.text == tiny_model.decode(output[len(ids) :]).rstrip("\ufffd")


def test_the_cache_changes_nothing(tiny_model: LanguageModel) -> None:
    drawn = _greedy_without_cache(tiny_model, _PROMPT, 30)
    found = generate(tiny_model, _PROMPT, Sampling(max_tokens=30))
    assert (found.text, found.tokens) == (tiny_model.decode(drawn).rstrip("\ufffd"), len(drawn))


def test_cached_logits_are_those_of_full_passes(tiny_model: LanguageModel) -> None:
    seen: list[torch.Tensor] = []
    ids: list[int] = []

    def record(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
        ids.extend(inputs[0][0].tolist())
        seen.append(output.logits[0, -1])

    handle = tiny_model.module.register_forward_hook(record)
    try:
        found = generate(tiny_model, _PROMPT, Sampling(max_tokens=25, temperature=1.5, seed=3))
    finally:
        handle.remove()
    assert len(ids) == found.prompt_tokens + found.tokens - 1  # each token is read once, the last one never
    with torch.inference_mode():
        whole = tiny_model.module(torch.tensor([ids])).logits[0, found.prompt_tokens - 1 :]
    torch.testing.assert_close(torch.stack(seen), whole, rtol=0, atol=1e-5)


def test_the_same_seed_gives_the_same_text_and_the_global_generator_is_left_alone(tiny_model: LanguageModel) -> None:
    state = torch.random.get_rng_state()
    texts = [generate(tiny_model, _PROMPT, Sampling(40, temperature=1.0, seed=seed)).text for seed in (5, 5, 6)]
    assert texts[0] == texts[1] != texts[2]
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_vanishing_temperature_or_nucleus_is_greedy(tiny_model: LanguageModel) -> None:
    greedy = generate(tiny_model, _PROMPT, Sampling(20)).text
    assert generate(tiny_model, _PROMPT, Sampling(20, temperature=1e-300, seed=1)).text == greedy
    assert generate(tiny_model, _PROMPT, Sampling(20, temperature=2.0, top_p=1e-9, seed=1)).text == greedy


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (1.0, 0.75)])
def test_draws_follow_the_distribution(tiny_llama: LanguageModel, temperature: float, top_p: float) -> None:
    """Pairs of letters from a chain of three states, against their exact probabilities (chi-square)."""
    from scipy.stats import chisquare

    letters = [tiny_llama.encode(letter)[0] for letter in "abc"]
    table = torch.tensor([[0.5, 1.5, -0.5], [0.0, -1.0, 1.0], [1.0, 0.3, 0.1]])

    def logits(past: list[int]) -> torch.Tensor:
        scores = torch.full((len(tiny_llama.tokenizer),), -math.inf)
        scores[letters] = table[letters.index(past[-1])]
        return scores

    model = scripted(tiny_llama.tokenizer, logits)
    chain = [_nucleus((row / temperature).softmax(0).double().tolist(), top_p) for row in table]
    expected = {
        "abc"[i] + "abc"[j]: chain[0][i] * chain[i][j] for i in range(3) for j in range(3) if chain[0][i] * chain[i][j]
    }
    draws = 1500
    counts = dict.fromkeys(expected, 0)
    for seed in range(draws):
        counts[generate(model, "a", Sampling(2, temperature, top_p, seed=seed)).text] += 1  # KeyError: not in nucleus
    assert chisquare(list(counts.values()), [draws * p for p in expected.values()]).pvalue > 0.01


def _nucleus(probabilities: list[float], top_p: float) -> list[float]:
    """The smallest set of likeliest entries with at least this mass, by adding them up one by one; scaled to 1."""
    kept: list[int] = []
    for i in sorted(range(len(probabilities)), key=lambda i: -probabilities[i]):
        kept.append(i)
        if sum(probabilities[j] for j in kept) >= top_p:
            break
    mass = sum(probabilities[j] for j in kept)
    return [p / mass if i in kept else 0.0 for i, p in enumerate(probabilities)]


@settings(deadline=None)
@given(
    logits=st.lists(st.floats(-20, 20), min_size=1, max_size=12),
    temperature=st.floats(0.05, 20),
    top_p=st.floats(0.01, 1),
)
def test_the_nucleus_is_the_smallest_set_with_its_mass(logits: list[float], temperature: float, top_p: float) -> None:
    from whet.decoding import token_probabilities

    plain = [math.exp((x - max(logits)) / temperature) for x in logits]
    plain = [p / sum(plain) for p in plain]
    found = token_probabilities(torch.tensor(logits, dtype=torch.float64), temperature, top_p).tolist()
    kept = [i for i, p in enumerate(found) if p > 0]
    mass = sum(plain[i] for i in kept)
    assert sum(found) == pytest.approx(1)
    assert mass >= top_p - 1e-9
    assert mass - min(plain[i] for i in kept) < top_p + 1e-9  # without its least likely token it has too little
    assert min(plain[i] for i in kept) >= max((p for i, p in enumerate(plain) if i not in kept), default=0) - 1e-12
    assert found == pytest.approx([p / mass if i in kept else 0 for i, p in enumerate(plain)], abs=1e-9)


@settings(deadline=None)
@given(text=st.text("ab", min_size=1, max_size=30), stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_the_text_ends_before_the_first_stop_string(tiny_llama: LanguageModel, text: str, stops: list[str]) -> None:
    model = saying(tiny_llama.tokenizer, 1, byte_ids(tiny_llama.tokenizer, text))
    pieces: list[str] = []
    found = generate(model, "", Sampling(len(text), stop=tuple(stops)), on_text=pieces.append)
    there = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    drawn, end = min(there, default=(len(text), len(text)))  # the one that is complete first, else that begins first
    assert (found.text, found.tokens) == (text[:end], drawn)
    assert found.finished == ("stop" if there else "length")
    assert "".join(pieces) == found.text
    assert "" not in pieces


@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 5))
def test_stop_strings_over_several_tokens(tiny_llama: LanguageModel, data: st.DataObject, seed: int) -> None:
    sampling = Sampling(40, temperature=1.0, seed=seed)
    whole = generate(tiny_llama, _PROMPT, sampling)
    begin = data.draw(st.integers(0, len(whole.text) - 1))
    stop = whole.text[begin : begin + data.draw(st.integers(1, 8))]
    pieces: list[str] = []
    found = generate(tiny_llama, _PROMPT, Sampling(40, temperature=1.0, seed=seed, stop=(stop,)), on_text=pieces.append)
    assert found.finished == "stop"
    assert found.text == whole.text[: whole.text.find(stop)]
    assert "".join(pieces) == found.text
    assert found.tokens <= whole.tokens


def test_characters_of_several_tokens_come_out_whole(tiny_llama: LanguageModel) -> None:
    text = "naïve 😀漢字 \ufffd é"
    ids = byte_ids(tiny_llama.tokenizer, text)
    model = saying(tiny_llama.tokenizer, 1, ids)
    for n in range(1, len(ids) + 1):
        pieces: list[str] = []
        found = generate(model, "", Sampling(n), on_text=pieces.append)
        whole = text.encode()[:n].decode(errors="ignore")
        assert found.text == whole.rstrip("\ufffd")
        assert "".join(pieces) == found.text


def test_streaming_hands_text_over_at_once_and_outside_of_inference_mode(tiny_llama: LanguageModel) -> None:
    model = saying(tiny_llama.tokenizer, 1, byte_ids(tiny_llama.tokenizer, "ab\nfé"))
    heard: list[tuple[str, int, bool]] = []

    def hear(piece: str) -> None:
        heard.append((piece, len(model.module.passes), torch.is_inference_mode_enabled()))

    generate(model, "", Sampling(6, stop=("\nend",)), on_text=hear)
    assert heard == [("a", 1, False), ("b", 2, False), ("\nf", 4, False), ("é", 6, False)]


def test_the_end_token_ends_the_text(tiny_llama: LanguageModel) -> None:
    tokenizer = tiny_llama.tokenizer
    model = saying(tokenizer, 1, [*byte_ids(tokenizer, "done"), tokenizer.eos_token_id, *byte_ids(tokenizer, "more")])
    pieces: list[str] = []
    found = generate(model, "", Sampling(50, stop=("ne.",)), on_text=pieces.append)
    assert found == Generated("done", tokens=5, prompt_tokens=1, finished="end", truncated=False)
    assert "".join(pieces) == "done"


@pytest.mark.parametrize(
    ("prompt", "max_tokens", "read", "drawn", "truncated"),
    [
        (10, 6, 10, 6, False),  # 1 + 9 + 6 just fit
        (11, 6, 10, 6, True),  # room for ten beside six
        (99, 6, 10, 6, True),
        (8, 99, 8, 9, False),  # the context fills up: eight and nine, of which the last is not read
        (9, 99, 8, 9, True),  # half a context is kept whatever is asked for
    ],
)
def test_a_long_prompt_keeps_its_last_part(
    tiny_llama: LanguageModel, prompt: int, max_tokens: int, read: int, drawn: int, truncated: bool
) -> None:
    ids = byte_ids(tiny_llama.tokenizer, "".join(chr(ord("!") + i) for i in range(prompt - 1)))
    model = saying(tiny_llama.tokenizer, read, byte_ids(tiny_llama.tokenizer, "x"), context=16)
    text = tiny_llama.decode(ids)
    model.encode = lambda _: ids  # type: ignore[method-assign]  # a token for each character, whatever was merged
    found = generate(model, text, Sampling(max_tokens))
    assert found == Generated("x" * drawn, drawn, read, "length", truncated)
    assert isinstance(model.module, Scripted)
    assert model.module.passes[0] == [model.start, *ids[len(ids) - read + 1 :]]


def test_a_full_context_ends_the_text_on_every_architecture(tiny_model: LanguageModel) -> None:
    ids = tiny_model.encode(_PROMPT * 30)
    found = generate(tiny_model, _PROMPT * 30, Sampling(10_000, temperature=1.0, seed=2))
    assert found.truncated
    assert found.prompt_tokens == tiny_model.context // 2 < len(ids)
    assert found.finished == "end" or found.tokens == tiny_model.context // 2 + 1


@pytest.fixture(scope="module")
def sentencepiece() -> Any:
    """A tokenizer in the manner of Llama 2: spaces as ▁, the first one dropped, unknown characters as bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    symbols = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"HIabc"]
    tokenizer = Tokenizer(models.BPE({s: i for i, s in enumerate(symbols)}, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", padding_side="left"
    )


@pytest.mark.parametrize("prompt", ["HI", "HI ", "HI 😀", ""])
@pytest.mark.parametrize("text", [" ab c", "😀😀 a", "ab é😀"])
def test_tokenizers_that_drop_a_first_space(sentencepiece: Any, prompt: str, text: str) -> None:
    tail = sentencepiece.encode(text, add_special_tokens=False)[1:]  # without the ▁ that is set before any text
    read = 1 + len(sentencepiece.encode(prompt, add_special_tokens=False))
    model = saying(sentencepiece, read, tail)
    pieces: list[str] = []
    found = generate(model, prompt, Sampling(len(tail)), on_text=pieces.append)
    assert found.text == (text if prompt else text.removeprefix(" "))
    assert "".join(pieces) == found.text
    cut = generate(model, prompt, Sampling(len(tail) - 1))
    assert cut.text == found.text[:-1]


def test_an_adapter_that_requires_gradients_does_no_harm(tiny_model: LanguageModel) -> None:
    change = torch.zeros(32, requires_grad=True)
    handle = tiny_model.module.get_input_embeddings().register_forward_hook(lambda *call: call[2] + change)
    try:
        found = generate(tiny_model, _PROMPT, Sampling(10))
    finally:
        handle.remove()
    assert change.requires_grad
    assert found == generate(tiny_model, _PROMPT, Sampling(10))


def test_logits_that_are_not_numbers_are_an_error(tiny_llama: LanguageModel) -> None:
    model = scripted(tiny_llama.tokenizer, lambda _: torch.full((len(tiny_llama.tokenizer),), math.nan))
    with pytest.raises(ModelError, match="not numbers after 0 tokens"):
        generate(model, "a", Sampling())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0),
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_p", math.nan),
        ("stop", ("a", "")),
        ("stop", "word"),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_settings_out_of_range_are_refused(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{field}="):
        Sampling(**{field: value})
