"""Attention of sequences that lie end to end, each to itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import Function
from torch.nn.functional import scaled_dot_product_attention

from whet.models.precision import wanted_precision
from whet.models.sweeps import causal_softmax_, from_heads, softmax_back_, to_heads

if TYPE_CHECKING:
    from torch import Tensor

NAME = "whet_packed"
"""What the models of transformers call it by."""

_STRETCH = 128  # tokens of a long sequence that are looked at together; more waste more of them
_LONGEST = 1024  # beyond, keeping what all tokens see of all others would take much memory
_SCORES_AT_ONCE = 2**19  # of as many sequences as stay in the processor's cache


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
    if causal and not ahead and learns_by_hand(lengths, query):
        return attend_causally(lengths, query, key, value, scale)
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


def learns_by_hand(lengths: Sequence[int], query: Tensor) -> bool:
    """Whether `attend_causally` is faster than torch's fused attention: on a processor, where gradients are wanted."""
    plain = query.dtype == torch.float32 and query.device.type == "cpu"
    return plain and torch.is_grad_enabled() and query.requires_grad and max(lengths) <= _LONGEST


def attend_causally(
    lengths: Sequence[int],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float | None,
    turn: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """As `attend`, each token seeing those up to it, with a way back that is faster than that of torch on a processor.

    Args:
        lengths: tokens of each sequence, at most some hundred.
        query: `(tokens, heads, size)`.
        key: the same, or fewer heads that several queries share.
        value: like `key`.
        scale: what products are multiplied by; one over the root of the size if not given.
        turn: `cos` and `sin (tokens, size/2)` of rotary positions by which queries and keys are turned first.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    cos, sin = turn or (None, None)
    mixed: Tensor = CausalAttention.apply(query, key, value, cos, sin, tuple(lengths), scale)  # type: ignore[no-untyped-call]
    return mixed


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
    mask = None
    if ahead and causal:
        mask = torch.ones(tokens, ahead + tokens, dtype=torch.bool, device=query.device).tril(ahead)
    return scaled_dot_product_attention(
        query, key, value, mask, is_causal=causal and not ahead, scale=scale, enable_gqa=grouped
    )


class CausalAttention(Function):
    """Attention of each token to those up to it, on a processor; see `attend_causally`.

    Queries, keys and values are float32; products and probabilities have the wanted precision.

    The probabilities are kept for the way back. Several short sequences go together, as many as stay in the processor's
    cache; of a long one a stretch of tokens at a time, so that what lies above the diagonal is computed in the last
    stretch of keys only. Heads that share keys lie one under the other, as rows of one product.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        cos: Tensor | None,
        sin: Tensor | None,
        lengths: tuple[int, ...],
        scale: float,
    ) -> Tensor:
        mixed, kept = torch.empty_like(query, memory_format=torch.contiguous_format), []
        precision = wanted_precision()
        ctx.chunks = _chunks(lengths, query.shape[1])
        for chunk in ctx.chunks:
            turn = None if cos is None or sin is None else (chunk.of(cos), chunk.of(sin))
            q = to_heads(chunk.of(query), turn).mul_(scale).to(precision)
            out = query.new_empty(q.shape)
            k, v = (
                to_heads(chunk.of(states), way).flatten(0, 1).to(precision)
                for states, way in ((key, turn), (value, None))
            )
            kept += [q, k, v]
            for begin, end in chunk.stretches:
                scores = torch.bmm(_stretch(q, k, begin, end), k[:, :end].transpose(1, 2))
                shares = causal_softmax_(scores, end - begin, begin)
                kept.append(shares)
                _put(out, begin, end, torch.bmm(shares, v[:, :end]))
            chunk.of(mixed).copy_(from_heads(out, None))
        ctx.save_for_backward(cos, sin, *kept)
        ctx.scale, ctx.shapes = scale, (query.shape, key.shape)
        return mixed

    @staticmethod
    def backward(ctx: Any, d_mixed: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin, *saved = ctx.saved_tensors
        d_query, d_key, d_value = (d_mixed.new_empty(ctx.shapes[n]) for n in (0, 1, 1))
        d_mixed, kept = d_mixed.contiguous(), iter(saved)
        for chunk in ctx.chunks:
            q, k, v = next(kept), next(kept), next(kept)
            d_out = to_heads(chunk.of(d_mixed), None).to(q.dtype)
            d_q = d_mixed.new_empty(q.shape)
            parts = [(begin, end, next(kept)) for begin, end in chunk.stretches]
            for begin, end, shares in reversed(parts):  # the last, which sees all keys, makes the sums
                d = _stretch(d_out, k, begin, end)
                d_v = torch.bmm(shares.transpose(1, 2), d)
                d_scores = softmax_back_(torch.bmm(d, v[:, :end].transpose(1, 2)), shares, 1.0)
                _put(d_q, begin, end, torch.bmm(d_scores, k[:, :end]))
                d_k = torch.bmm(d_scores.transpose(1, 2), _stretch(q, k, begin, end))
                if end == chunk.tokens:
                    sum_k, sum_v = d_k.float(), d_v.float()
                else:  # to add in the product itself would be slower: its parts would be taken one by one
                    sum_k[:, :end] += d_k
                    sum_v[:, :end] += d_v
            turn = None if cos is None else (chunk.of(cos), chunk.of(sin))
            for whole, part, way in (
                (d_query, d_q.mul_(ctx.scale), turn),
                (d_key, sum_k, turn),
                (d_value, sum_v, None),
            ):
                heads = part.view(chunk.count, -1, *part.shape[-2:])
                chunk.of(whole).copy_(from_heads(heads, way))
        return d_query, d_key, d_value, None, None, None, None


@dataclass(frozen=True)
class _Chunk:
    """Sequences of one length, side by side."""

    first: int  # token of all
    tokens: int
    count: int

    def of(self, states: Tensor) -> Tensor:
        """Their part of `states (all tokens, …)`: `(count, tokens, …)`."""
        part = states[self.first : self.first + self.count * self.tokens]
        return part.view(self.count, self.tokens, *states.shape[1:])

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """Tokens that are looked at together."""
        size = _STRETCH if self.tokens >= 2 * _STRETCH else self.tokens
        return [(begin, min(begin + size, self.tokens)) for begin in range(0, self.tokens, size)]


def _chunks(lengths: Sequence[int], heads: int) -> list[_Chunk]:
    found, first = [], 0
    for tokens, same in groupby(lengths):
        left = len(list(same))
        most = max(1, _SCORES_AT_ONCE // (heads * tokens * tokens))
        while left:
            count = min(most, left)
            found.append(_Chunk(first, tokens, count))
            first += count * tokens
            left -= count
    return found


def _stretch(states: Tensor, key: Tensor, begin: int, end: int) -> Tensor:
    """Tokens of `states (sequences, heads, tokens, size)`, heads that share a key of `key (n, …)` under each other."""
    return states[:, :, begin:end].reshape(len(key), -1, states.shape[-1])


def _put(states: Tensor, begin: int, end: int, part: Tensor) -> None:
    """The reverse of `_stretch`."""
    states[:, :, begin:end] = part.view(*states.shape[:2], end - begin, -1)


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
