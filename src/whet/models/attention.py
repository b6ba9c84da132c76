"""Attention of sequences that lie end to end, each to itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd import Function
from torch.nn.functional import scaled_dot_product_attention

from whet.models.threads import NUMBERS_A_THREAD, in_threads, numba_is_there

if TYPE_CHECKING:
    from torch import Tensor

NAME = "whet_packed"
"""What the models of transformers call it by."""


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
    if causal and not ahead and learns_by_hand(query):
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


def learns_by_hand(query: Tensor) -> bool:
    """Whether `attend_causally` can do it; with gradients it is faster than torch's fused attention."""
    plain = query.dtype == torch.float32 and query.device.type == "cpu" and numba_is_there()
    return plain and torch.is_grad_enabled() and query.requires_grad


def attend_causally(
    lengths: Sequence[int],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float | None,
    turn: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """As `attend`, each token seeing those up to it, as machine code of numba on a processor; so are the gradients.

    Args:
        lengths: tokens of each sequence.
        query: `(tokens, heads, size)`, float32.
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
    """Attention of each token to those up to it by `whet.models.compiled_attention`; see `attend_causally`."""

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
        given = [states.contiguous() for states in (query, key, value)]
        out = torch.empty_like(given[0])
        exponents = out.new_empty(*out.shape[:2], 2)
        ctx.lengths, ctx.scale = lengths, scale
        ctx.save_for_backward(*given, cos, sin, out, exponents)
        _compiled("attend", ctx, *given, cos, sin, out, exponents)
        return out

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        found = [torch.empty_like(states) for states in saved[:3]]
        _compiled("attend_back", ctx, *saved, d_out.contiguous(), *found)
        return *found, None, None, None, None


def _compiled(name: str, ctx: Any, *tensors: Tensor | None) -> None:
    """Run a kernel for all sequences and heads of keys, in as many threads as torch uses."""
    from whet.models import compiled_attention

    (_, heads, size), (_, shared, _) = (states.shape for states in tensors[:2] if states is not None)
    starts, parts = _shared_out(ctx.lengths, heads, shared, torch.get_num_threads())
    addresses = [0 if states is None else states.data_ptr() for states in tensors]
    given = *addresses, starts.ctypes.data, len(ctx.lengths), heads, shared, size, ctx.scale
    in_threads(getattr(compiled_attention, name), given, parts)


@lru_cache(maxsize=64)  # the layers of a pass are alike
def _shared_out(
    lengths: tuple[int, ...], heads: int, shared: int, threads: int
) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """Where sequences begin and end; and for each thread its heads of keys, with about as much to do."""
    starts = np.array([0, *accumulate(lengths)])
    work = np.repeat(np.square(lengths) * (heads // shared), shared).cumsum()
    threads = min(threads, 1 + int(work[-1]) // NUMBERS_A_THREAD, len(work))
    borders = np.searchsorted(work, work[-1] * np.arange(1, threads) / threads).tolist()
    return starts, list(pairwise([0, *borders, len(work)]))


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
