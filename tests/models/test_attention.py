"""Attention of sequences that lie end to end against torch's own, one sequence at a time."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from whet.models import attention, precision, sweeps
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
    monkeypatch.setattr(attention, "_STRETCH", 2)
    if not compiled:
        monkeypatch.setattr(sweeps, "numba_is_there", lambda: False)
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


@pytest.mark.parametrize("heads", [2, 4])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("lengths", [[130], [64, 64, 20], [192, 3]])
def test_attention_with_rotary_positions_and_its_gradients_equal_those_of_torch(
    lengths: list[int], heads: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(sweeps, "numba_is_there", lambda: False)
    tokens, size = sum(lengths), 8
    shapes = ((tokens, 4, size), (tokens, heads, size), (tokens, heads, size))
    ours, others = ([random(*shape, seed=n).requires_grad_() for n, shape in enumerate(shapes)] for _ in range(2))
    angles = random(tokens, size // 2, seed=7)
    cos, sin = angles.cos(), angles.sin()
    one = attend_causally(lengths, *ours, 0.3, (cos, sin))
    both = cos.repeat(1, 2)[None, None], sin.repeat(1, 2)[None, None]
    turned = (states.transpose(0, 1)[None] for states in others[:2])
    q, k = (states[0].transpose(0, 1) for states in apply_rotary_pos_emb(*turned, both[0][0], both[1][0]))
    two = plain(lengths, q, k, others[2], 0)
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)
    (one * random(*one.shape, seed=4)).sum().backward()
    (two * random(*one.shape, seed=4)).sum().backward()
    for mine, other in zip(ours, others, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("lengths", [[270], [130, 130, 7]])
def test_with_products_in_bfloat16_attention_is_nearly_the_same(
    lengths: list[int], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(sweeps, "numba_is_there", lambda: False)
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda: True)
    found = []
    for name in ("float32", "bfloat16"):
        states = [random(sum(lengths), heads, 8, seed=n).requires_grad_() for n, heads in enumerate((4, 2, 2))]
        with precision.products_in(name):
            mixed = attend_causally(lengths, *states, None)
        mixed.backward(random(*mixed.shape, seed=5))
        found.append([mixed.detach(), *(state.grad for state in states)])
    for full, low in zip(*found, strict=True):
        assert low.dtype == torch.float32
        assert 0 < (full - low).norm() < 0.01 * full.norm()
