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
from whet.models.sweeps import rms_norm, rms_norm_back, rms_norm_sum, swiglu, swiglu_back

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
        elif name == "LlamaDecoderLayer":
            found.append((module, partial(_block, module)))
        elif name == "LlamaAttention":
            found.append((module, partial(_rotary_attention, module)))
        elif name == "LlamaMLP" and module.config.hidden_act == "silu":
            found.append((module, partial(_gated, module)))
    return found


@contextmanager
def using_forwards(forwards: Forwards) -> Iterator[None]:
    """Within this block of code the modules compute by these forwards, where nothing else has taken their place."""
    with ExitStack() as stack:
        for module, forward in forwards:
            if "forward" not in vars(module):
                stack.enter_context(replaced_forward(module, forward))
        yield


def _norm(module: Any, x: Tensor) -> Tensor:
    if not _norms(module, x):
        found: Tensor = type(module).forward(module, x)
        return found
    _, normed = RmsNorm.apply(x, None, module.weight, module.variance_epsilon)  # type: ignore[no-untyped-call]
    return normed  # type: ignore[no-any-return]


def _norms(module: Any, x: Tensor) -> bool:
    """Whether `RmsNorm` may take a module's place."""
    return not module.weight.requires_grad and x.dtype == torch.float32


class RmsNorm(Function):
    """`z = x + y`, and `weight · z / √(mean(z²) + eps)` over the last dimension, with a frozen weight.

    Their gradients are added in the sweep that makes the norm's. Without y, z is x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        if y is None:
            total, (out, factor) = x, rms_norm(x, weight, eps)
        else:
            total, out, factor = rms_norm_sum(x, y, weight, eps)
        ctx.save_for_backward(total, weight, factor)
        ctx.sums = y is not None
        ctx.set_materialize_grads(False)
        return total, out

    @staticmethod
    def backward(ctx: Any, d_total: Tensor | None, d_out: Tensor | None) -> tuple[Tensor | None, ...]:
        total, weight, factor = ctx.saved_tensors
        found = d_total if d_out is None else rms_norm_back(total, factor, weight, d_out, d_total)
        return found, found if ctx.sums else None, None, None


def _block(module: Any, hidden_states: Tensor, **others: Any) -> Tensor:
    """A block of Llama, what is added to its states being so in the sweep of the norm after it."""
    before, after = module.input_layernorm, module.post_attention_layernorm
    if not all(_norms(norm, hidden_states) and _bare(norm) for norm in (before, after)):
        found: Tensor = type(module).forward(module, hidden_states, **others)
        return found
    states, normed = RmsNorm.apply(hidden_states, None, before.weight, before.variance_epsilon)  # type: ignore[no-untyped-call]
    mixed, _ = module.self_attn(hidden_states=normed, **others)
    states, normed = RmsNorm.apply(states, mixed, after.weight, after.variance_epsilon)  # type: ignore[no-untyped-call]
    return states + module.mlp(normed)  # type: ignore[no-any-return]


def _bare(module: Any) -> bool:
    """Whether nothing looks at what a module computes, and nothing but `_norm` takes its forward's place."""
    forward = getattr(module.forward, "func", None)
    return forward is _norm and not (module._forward_hooks or module._forward_pre_hooks)


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
