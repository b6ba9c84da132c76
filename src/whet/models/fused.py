"""Parts of Llama-like models written by hand for speed: norms, and attention with rotary positions.

They compute what the modules themselves compute, in fewer sweeps over memory, and so do their gradients. What they do
not cover (weights that are learnt, half precision, keys kept from before) is left to the modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import Function

from whet.models.attention import attend
from whet.models.prefix import replaced_forward

if TYPE_CHECKING:
    from torch import Tensor, nn

Forwards = list[tuple["nn.Module", Callable[..., Any]]]


def find_fused(backbone: nn.Module) -> Forwards:
    """The modules of a model that have a faster forward, with it."""
    found: Forwards = []
    for module in backbone.modules():
        name = type(module).__name__
        if name.endswith("RMSNorm") and hasattr(module, "variance_epsilon"):
            found.append((module, partial(_norm, module)))
        elif name == "LlamaAttention":
            found.append((module, partial(_rotary_attention, module)))
    return found


@contextmanager
def using_forwards(forwards: Forwards) -> Iterator[None]:
    """Within this block of code the modules compute by these forwards."""
    with ExitStack() as stack:
        for module, forward in forwards:
            stack.enter_context(replaced_forward(module, forward))
        yield


def _norm(module: Any, x: Tensor) -> Tensor:
    if module.weight.requires_grad or x.dtype != torch.float32:
        found: Tensor = type(module).forward(module, x)
    else:
        found = RmsNorm.apply(x, module.weight, module.variance_epsilon)  # type: ignore[no-untyped-call]
    return found


class RmsNorm(Function):
    """`weight · x / √(mean(x²) + eps)` over the last dimension, with a frozen weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        factor = length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, factor)
        return (x * factor).mul_(weight)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, factor = ctx.saved_tensors
        dx = dy * weight
        along = (dx * x).sum(-1, keepdim=True).mul_(factor.pow(3)).div_(-x.shape[-1])
        return dx.mul_(factor).addcmul_(x, along), None, None


def _rotary_attention(
    module: Any,
    hidden_states: Tensor,
    position_embeddings: tuple[Tensor, Tensor] | None = None,
    attention_mask: Tensor | None = None,
    past_key_values: Any = None,
    **others: Any,
) -> tuple[Tensor, None]:
    if position_embeddings is None or attention_mask is not None or past_key_values is not None:
        found: tuple[Tensor, None] = type(module).forward(
            module, hidden_states, position_embeddings, attention_mask, past_key_values, **others
        )
        return found
    # positions turn neighbouring heads alike, so tokens may stay where they are: (tokens, heads, size)
    query, key, value = (
        project(hidden_states).view(hidden_states.shape[1], -1, module.head_dim)
        for project in (module.q_proj, module.k_proj, module.v_proj)
    )
    cos, sin = (part[0, :, None] for part in position_embeddings)
    query, key = (Rotary.apply(part, cos, sin) for part in (query, key))  # type: ignore[no-untyped-call]
    mixed = attend(module.config.whet_lengths, query, key, value, module.scaling)
    return module.o_proj(mixed.flatten(1)[None]), None


class Rotary(Function):
    """Rotary positions (Su et al. 2021, arXiv 2104.09864) in Llama's order: number i turns together with i + size/2.

    Shapes: `x (tokens, heads, size)`, `cos` and `sin (tokens, 1, size)`, in which both halves are equal.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _turned(dy, cos, sin, -1), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, way: int) -> Tensor:
    half = x.shape[-1] // 2
    turned = x * cos
    turned[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-way)
    turned[..., half:].addcmul_(x[..., :half], sin[..., :half], value=way)
    return turned
