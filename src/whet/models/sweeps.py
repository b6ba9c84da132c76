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


def rms_norm_sum(x: Tensor, y: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """`x + y`, and `rms_norm` of that."""
    if not _compiles(x, y, weight):
        total = x + y
        return total, *rms_norm(total, weight, eps)
    total, out, factor = torch.empty_like(x), torch.empty_like(x), x.new_empty(*x.shape[:-1], 1)
    _sweep("rms_norm_sum", x, y, total, out, factor, weight, sizes=(x.shape[-1], eps))
    return total, out, factor


def rms_norm_back(x: Tensor, factor: Tensor, weight: Tensor, d_out: Tensor, more: Tensor | None = None) -> Tensor:
    """Gradient of `rms_norm` with respect to `x`, plus `more` of it."""
    if not _compiles(x, weight, d_out, *(() if more is None else (more,))):
        d_x = d_out * weight
        along = (d_x * x).sum(-1, keepdim=True).mul_(factor.pow(3)).div_(-x.shape[-1])
        d_x = d_x.mul_(factor).addcmul_(x, along)
        return d_x if more is None else d_x.add_(more)
    d_x = torch.empty_like(x)
    _sweep("rms_norm_back", x, factor, d_out, more, d_x, weight, sizes=x.shape[-1:])
    return d_x


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


def _compiles(*tensors: Tensor) -> bool:
    return numba_is_there() and all(x.dtype is torch.float32 and x.is_cpu and x.is_contiguous() for x in tensors)


def _sweep(name: str, first: Tensor, *others: Tensor | None, sizes: Sequence[float]) -> None:
    """Run a kernel of `whet.models.compiled` over the rows of these tensors, in as many threads as torch uses.

    Args:
        name: of the kernel.
        first: of what it reads and writes; its rows are gone over.
        others: contiguous as the first; None is the address 0.
        sizes: what it takes besides, lengths of dimensions first.
    """
    kernel, numbers = _kernel(name), first.numel()
    rows = numbers // first.shape[-1]
    given = (first.data_ptr(), *[0 if x is None else x.data_ptr() for x in others], *sizes)
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
