"""Elementwise parts of transformer blocks and their gradients: by numba's machine code on a processor, else by torch.

Tensors are read only, but for those that a function's name (`_` at its end) says are overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import silu

from whet.models.threads import NUMBERS_A_THREAD, in_threads, numba_is_there


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """`silu(gate) · up` of equal shapes."""
    if not _compiles(gate, up):
        return silu(gate).mul_(up)
    out = torch.empty_like(gate)
    _sweep("swiglu", gate, up, out, sizes=gate.shape[-1:])
    return out


def swiglu_back(gate: Tensor, up: Tensor, d_out: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of `swiglu` with respect to `gate` and `up`."""
    if not _compiles(gate, up, d_out):
        share = torch.sigmoid(gate)
        active = share * gate
        d_gate = torch.addcmul(share, active, 1 - share).mul_(up).mul_(d_out)
        return d_gate, active.mul_(d_out)
    d_gate, d_up = torch.empty_like(gate), torch.empty_like(gate)
    _sweep("swiglu_back", gate, up, d_out, d_gate, d_up, sizes=gate.shape[-1:])
    return d_gate, d_up


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """`weight · x · factor` and `factor (…, 1)`, which is `1 / √(mean(x²) + eps)` over the last dimension."""
    if not _compiles(x, weight):
        length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        factor = length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        return (x * factor).mul_(weight), factor
    out, factor = torch.empty_like(x), x.new_empty(*x.shape[:-1], 1)
    _sweep("rms_norm", x, out, factor, weight, sizes=(x.shape[-1], eps))
    return out, factor


def rms_norm_back(x: Tensor, factor: Tensor, weight: Tensor, d_out: Tensor) -> Tensor:
    """Gradient of `rms_norm` with respect to `x`."""
    if not _compiles(x, weight, d_out):
        d_x = d_out * weight
        along = (d_x * x).sum(-1, keepdim=True).mul_(factor.pow(3)).div_(-x.shape[-1])
        return d_x.mul_(factor).addcmul_(x, along)
    d_x = torch.empty_like(x)
    _sweep("rms_norm_back", x, factor, d_out, d_x, weight, sizes=x.shape[-1:])
    return d_x


def to_heads(x: Tensor, turn: tuple[Tensor, Tensor] | None) -> Tensor:
    """`x (sequences, tokens, heads, size)` as `(sequences, heads, tokens, size)`, contiguous and new.

    Args:
        x: queries, keys or values.
        turn: `cos` and `sin (sequences, tokens, size/2)` of rotary positions, if they are to be turned.
    """
    if turn is None:
        return x.transpose(1, 2).clone(memory_format=torch.contiguous_format)
    if not _compiles(x, *turn):
        return _turned(x, *turn, way=1).transpose(1, 2).contiguous()
    sequences, tokens, heads, size = x.shape
    out = x.new_empty(sequences, heads, tokens, size)
    _sweep("to_heads", out, x, *turn, sizes=(heads, tokens, size // 2), rows=sequences)
    return out


def from_heads(x: Tensor, turn: tuple[Tensor, Tensor] | None) -> Tensor:
    """The reverse of `to_heads`, which is also the way of gradients through it."""
    if turn is None:
        return x.transpose(1, 2)
    if not _compiles(x, *turn):
        return _turned(x.transpose(1, 2), *turn, way=-1)
    sequences, heads, tokens, size = x.shape
    out = x.new_empty(sequences, tokens, heads, size)
    _sweep("from_heads", out, x, *turn, sizes=(heads, tokens, size // 2), rows=sequences)
    return out


def _turned(x: Tensor, cos: Tensor, sin: Tensor, way: int) -> Tensor:
    cos, sin = cos[:, :, None], sin[:, :, None] * way
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


def causal_softmax_(scores: Tensor, tokens: int, first: int) -> Tensor:
    """Softmax of `scores (n, rows, keys)`: row i is token `first + i % tokens` and sees the keys up to itself."""
    kernel = _of_precision("causal_softmax", scores)
    if kernel:
        _sweep(kernel, scores, sizes=(*scores.shape[1:], tokens, first), rows=len(scores))
        return scores
    hidden = torch.full((tokens, tokens), -torch.inf, device=scores.device, dtype=scores.dtype).triu_(1)
    scores.unflatten(1, (-1, tokens))[..., first : first + tokens].add_(hidden)
    return scores.softmax(-1)


def softmax_back_(d_shares: Tensor, shares: Tensor, scale: float) -> Tensor:
    """From the gradient with respect to `shares (n, rows, keys)` that with respect to the scores, times `scale`."""
    kernel = _of_precision("softmax_back", d_shares, shares)
    if kernel:
        _sweep(kernel, d_shares, shares, sizes=(*shares.shape[1:], scale), rows=len(shares))
        return d_shares
    return torch._softmax_backward_data(d_shares, shares, -1, shares.dtype).mul_(scale)


def cross_entropy_(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Negative log-likelihoods `(n,)` of `targets (n,)`, and the gradient with respect to `logits (n, V)`."""
    if _compiles(logits):
        nats = logits.new_empty(len(logits))
        _sweep("cross_entropy", logits, targets.contiguous(), nats, sizes=logits.shape[-1:])
        return nats, logits
    above = logits.amax(1).sub_(logits.gather(1, targets[:, None])[:, 0])
    shares = torch.softmax(logits, 1)
    nats = above.sub_(shares.amax(1).log_())  # the largest share is exp(0) over the sum of all
    return nats, shares.scatter_add_(1, targets[:, None], shares.new_full((len(shares), 1), -1.0))


def _compiles(*tensors: Tensor, dtype: torch.dtype = torch.float32) -> bool:
    return numba_is_there() and all(x.dtype is dtype and x.is_cpu and x.is_contiguous() for x in tensors)


def _of_precision(name: str, *tensors: Tensor) -> str | None:
    """The name of the kernel for float32 or bfloat16, if there is one."""
    if _compiles(*tensors):
        return name
    return f"{name}_low" if _compiles(*tensors, dtype=torch.bfloat16) else None


def _sweep(name: str, *tensors: Tensor, sizes: Sequence[float], rows: int | None = None) -> None:
    """Run a kernel of `whet.models.compiled` over the rows of these tensors, in as many threads as torch uses.

    Args:
        name: of the kernel.
        tensors: what it reads and writes, contiguous.
        sizes: what it takes besides, lengths of dimensions first.
        rows: how many there are; those of the last dimension of the first tensor if not given.
    """
    kernel, numbers = _kernel(name), tensors[0].numel()
    rows = numbers // tensors[0].shape[-1] if rows is None else rows
    given = (*[x.data_ptr() for x in tensors], *sizes)
    if numbers < NUMBERS_A_THREAD:
        kernel(*given, 0, rows)
        return
    threads = min(torch.get_num_threads(), 1 + numbers // NUMBERS_A_THREAD, rows)
    size = ceil(rows / max(1, threads))
    in_threads(kernel, given, [(begin, min(begin + size, rows)) for begin in range(0, rows, size)])


@cache
def _kernel(name: str) -> Callable[..., None]:
    from whet.models import compiled

    found: Callable[..., None] = getattr(compiled, name)
    return found
