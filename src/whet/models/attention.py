"""Attention of sequences that lie end to end, each to itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import Function
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from torch import Tensor

NAME = "whet_packed"
"""What the models of transformers call it by."""

_BLOCK = 64
_LONG = range(3 * _BLOCK, 1025)
"""Lengths at which attention in blocks is faster on the way back; beyond, it would take much memory."""


def register() -> None:
    """Let the models of transformers attend by `packed_attention`."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)


def attend(
    lengths: Sequence[int],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float | None,
    *,
    causal: bool = True,
    ahead: int = 0,
) -> Tensor:
    """What each token of each sequence gathers: `(tokens, heads, size)`.

    Args:
        lengths: tokens of each sequence.
        query: `(tokens, heads, size)`, sequence after sequence.
        key: the same, or fewer heads that several queries share; with virtual tokens those of all sequences come first.
        value: like `key`.
        scale: what products are multiplied by; one over the root of the size if not given.
        causal: whether tokens see only those before them.
        ahead: virtual tokens of each sequence.
    """
    groups = [(length, len(list(same))) for length, same in groupby(lengths)]
    before = ahead * len(lengths)
    own = (query, key[before:], value[before:]) if ahead else (query, key, value)
    found, first = [], 0
    for (length, count), *parts in zip(groups, *(_split(states, groups) for states in own), strict=True):
        q, k, v = (_by_head(part, count) for part in parts)
        if ahead:
            part = slice(first * ahead, (first + count) * ahead)
            k, v = (torch.cat([_by_head(all_[part], count), rest], dim=2) for all_, rest in ((key, k), (value, v)))
            first += count
        mixed = _attend(q, k, v, scale, causal and length > 1)
        found.append(mixed.transpose(1, 2).flatten(0, 1))
    return found[0] if len(found) == 1 else torch.cat(found)


def _split(states: Tensor, groups: Sequence[tuple[int, int]]) -> Sequence[Tensor]:
    # a slice would be written into zeros of the whole on the way back
    return states.split([length * count for length, count in groups]) if len(groups) > 1 else (states,)


def _by_head(states: Tensor, count: int) -> Tensor:
    """`(tokens, heads, size)` as `(sequences, heads, tokens of each, size)`."""
    return states.view(count, -1, *states.shape[1:]).transpose(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float | None, causal: bool) -> Tensor:
    """`(sequences, heads, tokens, size)`; keys that are more than the queries come first and are seen by all."""
    tokens, ahead = query.shape[2], key.shape[2] - query.shape[2]
    grouped = query.shape[1] != key.shape[1]
    plain = causal and not ahead and not grouped and query.dtype == torch.float32 and query.device.type == "cpu"
    if plain and tokens in _LONG and torch.is_grad_enabled() and query.requires_grad:
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        mixed: Tensor = CausalAttention.apply(query, key, value, scale)  # type: ignore[no-untyped-call]
        return mixed
    mask = None
    if ahead and causal:
        mask = torch.ones(tokens, ahead + tokens, dtype=torch.bool, device=query.device).tril(ahead)
    return scaled_dot_product_attention(
        query, key, value, mask, is_causal=causal and not ahead, scale=scale, enable_gqa=grouped
    )


class CausalAttention(Function):
    """Attention of each token to those up to it, for stretches of tokens, in float32 on a processor.

    The probabilities are kept for the way back, which is then faster than that of torch's fused attention; what lies
    above the diagonal is computed in the last stretch of keys only. Shapes: `(sequences, heads, tokens, size)`.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        mixed, kept = torch.empty_like(query), []
        hidden = torch.full((_BLOCK, _BLOCK), -torch.inf).triu_(1)
        for q, k, v, out in zip(query, key, value, mixed, strict=True):  # one at a time stays in the cache
            q, k, v = (q * scale).contiguous(), k.contiguous(), v.contiguous()
            kept += [q, k, v]
            for begin, end in _stretches(q):
                scores = torch.bmm(q[:, begin:end], k[:, :end].transpose(1, 2))
                scores[:, :, begin:].add_(hidden[: end - begin, : end - begin])
                kept.append(scores.softmax(-1))
                out[:, begin:end] = torch.bmm(kept[-1], v[:, :end])
        ctx.save_for_backward(*kept)
        ctx.scale = scale
        return mixed

    @staticmethod
    def backward(ctx: Any, d_mixed: Tensor) -> tuple[Tensor | None, ...]:
        d_query, d_key, d_value = (torch.empty_like(d_mixed) for _ in range(3))
        kept = iter(ctx.saved_tensors)
        for d_out, d_q, d_k, d_v in zip(d_mixed, d_query, d_key, d_value, strict=True):
            q, k, v = next(kept), next(kept), next(kept)
            sum_k, sum_v = torch.zeros_like(k), torch.zeros_like(v)
            for begin, end in _stretches(q):
                p, d = next(kept), d_out[:, begin:end].contiguous()
                sum_v[:, :end].baddbmm_(p.transpose(1, 2), d)
                d_scores = torch.bmm(d, v[:, :end].transpose(1, 2))
                d_scores = torch._softmax_backward_data(d_scores, p, -1, p.dtype)
                d_q[:, begin:end] = torch.bmm(d_scores, k[:, :end])
                sum_k[:, :end].baddbmm_(d_scores.transpose(1, 2), q[:, begin:end])
            d_k.copy_(sum_k)
            d_v.copy_(sum_v)
        return d_query.mul_(ctx.scale), d_key, d_value, None


def _stretches(states: Tensor) -> list[tuple[int, int]]:
    tokens = states.shape[1]
    return [(begin, min(begin + _BLOCK, tokens)) for begin in range(0, tokens, _BLOCK)]


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention as models call it: `query (1, heads, tokens, size)` to `(1, tokens, heads, size)`.

    Keys that are more than the queries are virtual tokens, equally many of each sequence, and come first. With a mask
    the sequences are the rows of a batch, as always.
    """
    lengths: tuple[int, ...] = module.config.whet_lengths
    if dropout or softcap is not None or s_aux is not None:
        raise NotImplementedError("attention with dropout, a soft cap or sinks")
    if attention_mask is not None:
        grouped = query.shape[1] != key.shape[1]
        found = scaled_dot_product_attention(query, key, value, attention_mask, scale=scaling, enable_gqa=grouped)
        return found.transpose(1, 2), None
    ahead = (key.shape[2] - query.shape[2]) // len(lengths)
    if sliding_window is not None and ahead + max(lengths) > sliding_window:
        raise NotImplementedError("sequences longer than a sliding window")
    causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
    q, k, v = (states.squeeze(0).transpose(0, 1) for states in (query, key, value))
    return attend(lengths, q, k, v, scaling, causal=causal, ahead=ahead)[None], None
