"""The low-rank change of a linear map, for the rows of many slots at once, with its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import Function
from torch.nn.functional import linear

from whet.adaptation.products import frozen_product

if TYPE_CHECKING:
    from torch import Tensor

    from whet.adaptation.routing import Routing


class LowRank(Function):
    """`y + scale · Bᵀ A x` for each row, with its slot's A and B; `y` is overwritten.

    Written by hand for speed: nothing of the size of `y` is made on the way forward, and of the size of `x` only the
    gradient on the way back. The gradients are those that autograd finds (tested).

    Shapes: `y (…, out)` contiguous, `x (…, in)`, `a (slots, r, in)`, `b (slots, r, out)`.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, a: Tensor, b: Tensor, scale: float, routing: Routing) -> Tensor:
        rows = x.flatten(0, -2)
        inner = routing.shrink(a, rows)
        routing.expand(y.view(-1, y.shape[-1]), inner, b, scale)
        ctx.mark_dirty(y)
        ctx.save_for_backward(x, inner, a, b)
        ctx.scale, ctx.routing = scale, routing
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, inner, a, b = ctx.saved_tensors
        routing, scale, rows = ctx.routing, ctx.scale, dy.flatten(0, -2).contiguous()
        d_inner = routing.shrink(b, rows)
        dx = routing.expand(None, d_inner, a, scale).view(x.shape) if ctx.needs_input_grad[1] else None
        d_a = _outer(a, d_inner, x.flatten(0, -2), scale, routing)
        return dy, dx, d_a, _outer(b, inner, rows, scale, routing), None, None


class LowRankLinear(Function):
    """`W x + bias + scale · Bᵀ A x` for each row, with its slot's A and B and frozen W and bias.

    As `LowRank` after `linear`, but both gradients with respect to x are summed where the first one lies.

    Shapes: `x (…, in)`, `weight (out, in)`, `a (slots, r, in)`, `b (slots, r, out)`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float, routing: Routing
    ) -> Tensor:
        rows = x.flatten(0, -2)
        inner = routing.shrink(a, rows)
        y = routing.expand(frozen_product(rows, weight, bias), inner, b, scale)
        ctx.save_for_backward(x, weight, inner, a, b)
        ctx.scale, ctx.routing = scale, routing
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inner, a, b = ctx.saved_tensors
        routing, scale, rows = ctx.routing, ctx.scale, dy.flatten(0, -2).contiguous()
        d_inner, d_b = routing.shrink(b, rows), _outer(b, inner, rows, scale, routing)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = routing.expand(frozen_product(rows, weight, back=True), d_inner, a, scale).view(x.shape)
        return dx, None, None, _outer(a, d_inner, x.flatten(0, -2), scale, routing), d_b, None, None


def _outer(matrices: Tensor, inner: Tensor, x: Tensor, scale: float, routing: Routing) -> Tensor | None:
    """Gradient with respect to `matrices`: added to what they have, where they have one, for autograd would copy it."""
    if matrices.is_leaf and matrices.grad is not None:
        routing.outer(inner, x, scale, into=matrices.grad)
        return None
    return routing.outer(inner, x, scale)


def low_rank_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float, routing: Routing
) -> Tensor:
    """`linear(x, weight, bias)` plus the low-rank change of `x (…, in)` by each row's slot."""
    frozen = not weight.requires_grad and (bias is None or not bias.requires_grad)
    if not (frozen and a.requires_grad):  # without a gradient to the last bit as the model computes it
        return add_low_rank(linear(x, weight, bias), x, a, b, scale, routing)
    changed: Tensor = LowRankLinear.apply(x, weight, bias, a, b, scale, routing)  # type: ignore[no-untyped-call]
    return changed


def add_low_rank(y: Tensor, x: Tensor, a: Tensor, b: Tensor, scale: float, routing: Routing) -> Tensor:
    """`y (…, out)`, overwritten if it may be, plus the low-rank change of `x (…, in)` by each row's slot."""
    if y._is_view() or not y.is_contiguous():  # autograd would copy more to keep track of a view
        y = y.clone(memory_format=torch.contiguous_format)
    changed: Tensor = LowRank.apply(y, x, a, b, scale, routing)  # type: ignore[no-untyped-call]
    return changed


def slot_affine(y: Tensor, gain: Tensor | None, shift: Tensor | None, routing: Routing) -> Tensor:
    """`gain · y + shift` for each row of `y (…, n)`, with its slot's `gain` and `shift (slots, n)`; None is 1 and 0."""
    if routing.equal:
        rows = y.reshape(len(routing.rows), -1, y.shape[-1])
        gain, shift = (None if given is None else given[:, None] for given in (gain, shift))
    else:
        rows = y.reshape(-1, y.shape[-1])
        gain, shift = (None if given is None else routing.spread(given) for given in (gain, shift))
    if gain is not None:
        rows = rows * gain if shift is None else torch.addcmul(shift, rows, gain)
    elif shift is not None:
        rows = rows + shift
    return rows.view(y.shape)


def frozen_cross_entropy(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Negative log-likelihood in nats, `(n,)`, of `targets (n,)` under `softmax(weight @ hidden + bias)`.

    The matrix is frozen, so the gradient with respect to `hidden (n, d)` is made on the way forward, a stretch of rows
    at a time while their logits are in the processor's cache; the logits `(n, V)` never exist whole.
    """
    result: Tensor = _FrozenCrossEntropy.apply(hidden, weight, bias, targets)  # type: ignore[no-untyped-call]
    return result


_LOGITS_AT_ONCE = 2**20
_LEAST_ROWS = 128  # for fewer, reading the matrix would take longer than the product


class _FrozenCrossEntropy(Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
        learns = ctx.needs_input_grad[0]
        rows = max(_LEAST_ROWS, _LOGITS_AT_ONCE // len(weight)) if hidden.device.type == "cpu" else 4096
        nats = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden) if learns else None
        for begin in range(0, len(hidden), rows):
            part = slice(begin, begin + rows)
            logits = frozen_product(hidden[part], weight, bias).float()
            above = logits.amax(1).sub_(logits.gather(1, targets[part, None])[:, 0])
            shares = torch.softmax(logits, 1)
            nats[part] = above.sub_(shares.amax(1).log_())  # the largest share is exp(0) over the sum of all
            if gradient is not None:
                gradient[part] = frozen_product(shares.to(weight.dtype), weight, back=True)
        if gradient is not None:
            ctx.save_for_backward(gradient.sub_(weight[targets]))
        return nats

    @staticmethod
    def backward(ctx: Any, d_nats: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * d_nats[:, None].to(gradient.dtype), None, None, None
