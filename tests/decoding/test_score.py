"""Likelihoods against plain full passes, token by token, on every architecture."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whet.decoding import Score, score, score_text, token_nats
from whet.decoding.score import plan_windows
from whet.errors import InputError
from whet.models import LanguageModel

_LONG = "".join(f"{n}: the river carries stones, and a function returns {n * n}.\n" for n in range(12))


def _naive(model: LanguageModel, read: list[int], token: int) -> float:
    """Negative log-likelihood of a token after the start token and `read`, from a pass of its own."""
    with torch.inference_mode():
        logits = model.module(torch.tensor([[model.start, *read]])).logits[0, -1]
    return -torch.log_softmax(logits.double(), dim=-1)[token].item()


def _reference(model: LanguageModel, ids: list[int], before: list[int]) -> list[float]:
    """Token by token, with the rule for the context stated anew: half contexts, counted from the first window's end.

    Only what is read before a token matters to it, so each window is replaced by passes that end at the token.
    """
    context, half = model.context, model.context // 2
    room = max(context - len(ids), half)
    before = before[-room:] if before else []
    whole = before + ids
    nats = []
    for i in range(len(before), len(whole)):
        rounds = 0 if i < context else 1 + (i - context) // half
        end = min(context + rounds * half, len(whole))
        begin = max(0, end - context)
        nats.append(_naive(model, whole[begin:i], whole[i]))
    return nats


def test_a_text_within_the_context_is_one_full_pass(tiny_model: LanguageModel) -> None:
    ids = tiny_model.encode(_LONG)[: tiny_model.context]
    with torch.inference_mode():
        logits = tiny_model.module(torch.tensor([[tiny_model.start, *ids[:-1]]])).logits[0]
    expected = -torch.log_softmax(logits, dim=-1)[range(len(ids)), ids]
    nats = token_nats(tiny_model, ids)
    assert nats.shape == (len(ids),)
    assert nats.dtype == torch.float32
    torch.testing.assert_close(nats, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("given_tokens", "tokens"), [(0, 1), (0, 200), (7, 30), (200, 20), (500, 150), (60, 4)])
def test_windows_agree_with_a_pass_for_each_token(tiny_model: LanguageModel, given_tokens: int, tokens: int) -> None:
    stream = tiny_model.encode(_LONG) * 2
    before, ids = stream[:given_tokens], stream[given_tokens : given_tokens + tokens]
    nats = token_nats(tiny_model, ids, given=before)
    expected = torch.tensor(_reference(tiny_model, ids, before))
    torch.testing.assert_close(nats, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("tokens_a_pass", [1, 200, 10_000])
def test_the_size_of_a_batch_does_not_matter(
    tiny_model: LanguageModel, tokens_a_pass: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = tiny_model.encode(_LONG)
    usual = token_nats(tiny_model, ids)
    monkeypatch.setattr(score, "_TOKENS_A_PASS", tokens_a_pass)
    torch.testing.assert_close(token_nats(tiny_model, ids), usual, rtol=0, atol=1e-5)


def test_no_pass_reads_more_than_the_context(tiny_model: LanguageModel) -> None:
    read: list[int] = []
    handle = tiny_model.module.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].shape[1]))
    try:
        token_nats(tiny_model, tiny_model.encode(_LONG), given=tiny_model.encode(_LONG))
    finally:
        handle.remove()
    assert max(read) == tiny_model.context


@given(context=st.integers(2, 40), scored=st.integers(1, 300), data=st.data())
def test_windows_score_each_token_once_with_half_a_context(context: int, scored: int, data: st.DataObject) -> None:
    before = data.draw(st.integers(0, context - 1))
    windows = plan_windows(before, scored, context)
    places = [i for window in windows for i in range(window.first, window.end)]
    assert places == list(range(before, before + scored))
    for window in windows:
        assert 0 <= window.begin <= window.first < window.end
        assert window.end - window.begin == min(context, before + scored)
        assert window.first - window.begin >= min(window.first, context // 2)


def test_more_context_changes_the_likelihood_of_the_same_tokens(tiny_model: LanguageModel) -> None:
    alone = score_text(tiny_model, "stones to the plain")
    after = score_text(tiny_model, "stones to the plain", given="A river carries ")
    assert alone.tokens == after.tokens == len(tiny_model.encode("stones to the plain"))
    assert alone.bytes == after.bytes == 19
    assert alone.nats != after.nats


def test_bits_per_byte_counts_utf8_bytes(tiny_model: LanguageModel) -> None:
    text = "für 3 €"
    found = score_text(tiny_model, text)
    assert found.bytes == len(text.encode()) == 10
    nats = token_nats(tiny_model, tiny_model.encode(text)).sum().item()
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / 10, rel=1e-6)
    assert Score(nats=8 * math.log(2), tokens=3, bytes=4).bits_per_byte == pytest.approx(2)


def test_all_continuations_together_have_probability_one(tiny_model: LanguageModel) -> None:
    vocabulary = range(tiny_model.module.config.vocab_size)
    before = tiny_model.encode("for name in")
    total = sum(math.exp(-token_nats(tiny_model, [token], given=before).item()) for token in vocabulary)
    assert total == pytest.approx(1, abs=1e-4)


def test_scoring_leaves_the_model_trainable_through_hooks(tiny_model: LanguageModel) -> None:
    change = torch.zeros(32, requires_grad=True)
    handle = tiny_model.module.get_input_embeddings().register_forward_hook(lambda *call: call[2] + change)
    try:
        assert not token_nats(tiny_model, tiny_model.encode("plain")).requires_grad
        tiny_model.module(torch.tensor([[1, 2, 3]])).logits.logsumexp(-1).sum().backward()
    finally:
        handle.remove()
    assert change.requires_grad
    assert change.grad is not None
    assert change.grad.abs().sum() > 0


def test_nothing_to_score_is_refused(tiny_llama: LanguageModel) -> None:
    with pytest.raises(InputError, match="text to score is empty"):
        score_text(tiny_llama, "", given="something")
    with pytest.raises(InputError, match="no token ids"):
        token_nats(tiny_llama, [])
