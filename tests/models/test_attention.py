"""Attention of sequences that lie end to end against torch's own, one sequence at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from whet.models import attention
from whet.models.attention import attend, attend_causally


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain(lengths: list[int], q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, ahead: int) -> torch.Tensor:
    """One sequence after the other, with a mask."""
    found, extra = [], ahead * len(lengths)
    own = zip(*(states.split(lengths) for states in (q, k[extra:], v[extra:])), strict=True)
    for place, (one, keys, values) in enumerate(own):
        part = slice(place * ahead, (place + 1) * ahead)
        keys, values = torch.cat([k[:extra][part], keys]), torch.cat([v[:extra][part], values])
        mask = torch.ones(len(one), len(keys), dtype=torch.bool).tril(ahead)
        states = (states.transpose(0, 1) for states in (one, keys, values))
        found.append(scaled_dot_product_attention(*states, mask, scale=0.3, enable_gqa=True).transpose(0, 1))
    return torch.cat(found)


@pytest.mark.parametrize("lengths", [[3, 3], [5], [1, 4, 4, 2, 1]])
@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("heads", [2, 4])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("learn", [True, False])
def test_each_sequence_attends_to_itself(
    lengths: list[int], ahead: int, heads: int, compiled: bool, learn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(attention, "numba_is_there", lambda: False)
    keys = sum(lengths) + ahead * len(lengths)
    shapes = ((sum(lengths), 4, 6), (keys, heads, 6), (keys, heads, 6))
    ours, others = ([random(*shape, seed=n).requires_grad_(learn) for n, shape in enumerate(shapes)] for _ in range(2))
    one, two = attend(lengths, *ours, 0.3, ahead=ahead), plain(lengths, *others, ahead)
    torch.testing.assert_close(one, two)
    if learn:
        direction = random(*one.shape, seed=5)
        one.backward(direction)
        two.backward(direction)
        for mine, other in zip(ours, others, strict=True):
            torch.testing.assert_close(mine.grad, other.grad, atol=1e-5, rtol=1e-4)


def compiled_only() -> None:
    pytest.importorskip("numba")


def learn(
    lengths: list[int], heads: int, shared: int, size: int, times: float = 1.0, seed: int = 0
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Attention of random states and its gradients: by machine code, and one sequence after the other by torch."""
    tokens = sum(lengths)
    shapes = ((tokens, heads, size), (tokens, shared, size), (tokens, shared, size))
    starts = [random(*shape, seed=seed + n) * times for n, shape in enumerate(shapes)]
    ours, others = ([states.clone().requires_grad_() for states in starts] for _ in range(2))
    angles = random(tokens, size // 2, seed=seed + 7)
    cos, sin = angles.cos(), angles.sin()
    one = attend_causally(lengths, *ours, 0.3, (cos, sin))
    both = cos.repeat(1, 2)[None], sin.repeat(1, 2)[None]
    turned = (states.transpose(0, 1)[None] for states in others[:2])
    q, k = (states[0].transpose(0, 1) for states in apply_rotary_pos_emb(*turned, *both))
    two = plain(lengths, q, k, others[2], 0)
    direction = random(*one.shape, seed=seed + 4)
    one.backward(direction)
    two.backward(direction)
    return [one.detach(), *(x.grad for x in ours)], [two.detach(), *(x.grad for x in others)]


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 80), min_size=1, max_size=4),
    shared=st.integers(1, 3),
    group=st.integers(1, 3),
    half=st.sampled_from([1, 3, 4, 8, 16, 20]),
)
def test_attention_with_rotary_positions_and_its_gradients_equal_those_of_torch(
    lengths: list[int], shared: int, group: int, half: int
) -> None:
    compiled_only()
    for mine, other in zip(*learn(lengths, shared * group, shared, 2 * half), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("times", [1.0, 6.0])
def test_long_sequences_and_shares_of_nearly_nothing(times: float) -> None:
    compiled_only()
    for mine, other in zip(*learn([300, 7, 131], 4, 2, 32, times), strict=True):
        torch.testing.assert_close(mine, other, atol=2e-4 * times**2, rtol=1e-3)


def test_a_sequence_depends_neither_on_others_nor_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_only()
    lengths = [40, 3, 65, 40]
    states = [random(sum(lengths), n, 16, seed=n) for n in (4, 2, 2)]

    def gradients(parts: list[torch.Tensor], lengths: list[int]) -> list[torch.Tensor]:
        leaves = [part.clone().requires_grad_() for part in parts]
        mixed = attend_causally(lengths, *leaves, None)
        mixed.backward(mixed.detach())
        return [mixed.detach(), *(leaf.grad for leaf in leaves)]

    together = gradients(states, lengths)
    alone = [gradients([x.split(lengths)[n] for x in states], [length]) for n, length in enumerate(lengths)]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(attention, "NUMBERS_A_THREAD", 1)
    shared_out = gradients(states, lengths)
    for whole, again, *parts in zip(together, shared_out, *alone, strict=True):
        assert torch.equal(whole, torch.cat(parts))
        assert torch.equal(whole, again)


def test_what_is_not_a_number_stays_in_its_sequence() -> None:
    compiled_only()
    states = [random(50, 2, 16, seed=n) for n in range(3)]
    states[1][35, 0, 3] = float("nan")
    leaves = [x.requires_grad_() for x in states]
    mixed = attend_causally([30, 20], *leaves, None)
    assert mixed[:30].isfinite().all()
    assert mixed[35:, 0].isnan().all()
    mixed.sum().backward()
    assert leaves[1].grad[:30].isfinite().all()
    assert leaves[1].grad[30:36, 0].isnan().any()
