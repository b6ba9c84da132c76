"""Parts of Llama-like models written by hand for speed: norms, gates, and attention with rotary positions.

They compute what the modules themselves compute, in fewer sweeps over memory, and so do their gradients. What they do
not cover (weights that are learnt, half precision, keys kept from before) is left to the modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import Function

from whet.models.attention import attend, attend_causally, learns_by_hand
from whet.models.prefix import replaced_forward
from whet.models.sweeps import rms_norm, rms_norm_back, swiglu, swiglu_back

if TYPE_CHECKING:
    from torch import Tensor, nn

Forwards = list[tuple["nn.Module", Callable[..., Any]]]


def find_fused(backbone: nn.Module) -> Forwards:
    """The modules of a model that have a faster forward, with it."""
    found: Forwards = []
    modules: Iterator[Any] = backbone.modules()
    for module in modules:
        name = type(module).__name__
        if name.endswith("RMSNorm") and hasattr(module, "variance_epsilon"):
            found.append((module, partial(_norm, module)))
        elif name == "LlamaAttention":
            found.append((module, partial(_rotary_attention, module)))
        elif name == "LlamaMLP" and module.config.hidden_act == "silu":
            found.append((module, partial(_gated, module)))
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
        out, factor = rms_norm(x, weight, eps)
        ctx.save_for_backward(x, weight, factor)
        return out

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, factor = ctx.saved_tensors
        return rms_norm_back(x, factor, weight, d_out), None, None


class SwiGlu(Function):
    """`silu(gate) · up` (Shazeer 2020, arXiv 2002.05202)."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return swiglu(gate, up)

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        return swiglu_back(gate, up, d_out)


def _gated(module: Any, x: Tensor) -> Tensor:
    gate, up = read_by((module.gate_proj, module.up_proj), x)
    found: Tensor = module.down_proj(SwiGlu.apply(gate, up))  # type: ignore[no-untyped-call]
    return found


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
    lengths, tokens = module.config.whet_lengths, hidden_states.shape[1]
    query, key, value = (
        states.view(tokens, -1, module.head_dim)
        for states in read_by((module.q_proj, module.k_proj, module.v_proj), hidden_states)
    )
    cos, sin = (part[0] for part in position_embeddings)
    if learns_by_hand(query):
        turn = cos[:, : module.head_dim // 2].contiguous(), sin[:, : module.head_dim // 2].contiguous()
        mixed = attend_causally(lengths, query, key, value, module.scaling, turn)
    else:
        query, key = (Rotary.apply(part, cos[:, None], sin[:, None]) for part in (query, key))  # type: ignore[no-untyped-call]
        mixed = attend(lengths, query, key, value, module.scaling)
    return module.o_proj(mixed.flatten(1)[None]), None


def read_by(modules: Sequence[Any], x: Tensor) -> Sequence[Tensor]:
    """What each of these layers makes of `x`: at once, where what takes their forwards' place can do that.

    It then has a method `together(modules, x)`, which returns None where it cannot.
    """
    together = getattr(modules[0].forward, "together", None)
    hooked = any(module._forward_hooks or module._forward_pre_hooks for module in modules)
    found = None if together is None or hooked else together(modules, x)
    return [module(x) for module in modules] if found is None else found


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
