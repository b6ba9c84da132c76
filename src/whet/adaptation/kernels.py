"""The low-rank change of a linear map, for the rows of many slots at once, with its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import linear

from whet.adaptation.products import Change, frozen_product, rounded
from whet.models.precision import wanted_precision
from whet.models.sweeps import cross_entropy_

if TYPE_CHECKING:
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


class Changed(NamedTuple):
    """A frozen linear layer and its low-rank change: `weight (out, in)`, `a (slots, r, in)`, `b (slots, r, out)`."""

    weight: Tensor
    bias: Tensor | None
    a: Tensor
    b: Tensor

    @property
    def rank(self) -> int:
        """r."""
        return self.a.shape[1]

    @property
    def learns(self) -> bool:
        """Whether the change has a gradient and the layer itself has none."""
        frozen = not self.weight.requires_grad and (self.bias is None or not self.bias.requires_grad)
        return frozen and self.a.requires_grad


class LowRankLinears(Function):
    """`W x + bias + scale · Bᵀ A x` for each row, with its slot's A and B, of several layers that read the same x.

    As `LowRank` after `linear`; but what all layers do to x, and with their gradients to that of x, is done at once.

    Shapes: `x (…, in)`; of each layer those of `Changed`, the ranks equal.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, routing: Routing, *given: Tensor | None) -> tuple[Tensor, ...]:
        layers = _layers(given)
        rows, a = x.flatten(0, -2), _beside([layer.a for layer in layers])
        inner = routing.shrink(a, rows)
        parts = routing.apart(inner, [layer.rank for layer in layers])
        precision = wanted_precision()
        low = rounded(rows, layers[0].weight, precision)
        found = tuple(
            frozen_product(
                low, layer.weight, layer.bias, precision=precision, change=Change(routing, part, layer.b, scale)
            )
            for layer, part in zip(layers, parts, strict=True)
        )
        ctx.save_for_backward(x, inner, a, *given)
        ctx.scale, ctx.routing, ctx.precision = scale, routing, precision
        return tuple(y.view(*x.shape[:-1], -1) for y in found)

    @staticmethod
    def backward(ctx: Any, *d_found: Tensor) -> tuple[Tensor | None, ...]:
        x, inner, a, *given = ctx.saved_tensors
        routing, scale, layers = ctx.routing, ctx.scale, _layers(given)
        d_rows = [dy.flatten(0, -2).contiguous() for dy in d_found]
        d_inners = [routing.shrink(layer.b, rows) for layer, rows in zip(layers, d_rows, strict=True)]
        parts = routing.apart(inner, [layer.rank for layer in layers])
        d_bs = [
            _outer(layer.b, part, rows, scale, routing) for layer, part, rows in zip(layers, parts, d_rows, strict=True)
        ]
        dx = None
        if ctx.needs_input_grad[0]:
            changes: list[Change | None] = [None] * len(layers)
            changes[-1] = Change(routing, routing.side_by_side(d_inners), a, scale)
            for layer, rows, change in zip(layers, d_rows, changes, strict=True):
                dx = frozen_product(rows, layer.weight, back=True, add=dx, precision=ctx.precision, change=change)
        d_as = [
            _outer(layer.a, d_inner, x.flatten(0, -2), scale, routing)
            for layer, d_inner in zip(layers, d_inners, strict=True)
        ]
        by_layer = (grad for d_a, d_b in zip(d_as, d_bs, strict=True) for grad in (None, None, d_a, d_b))
        return None if dx is None else dx.view(x.shape), None, None, *by_layer


def _layers(given: Sequence[Any]) -> list[Changed]:
    return [Changed(*given[place : place + 4]) for place in range(0, len(given), 4)]


def _beside(matrices: Sequence[Tensor]) -> Tensor:
    """`(slots, r, n)` each, under each other for each slot: a view, where they lie so in memory."""
    first, *others = (matrix.detach() for matrix in matrices)
    if not others:
        return first
    slots, r, n = first.shape
    place = first.data_ptr()
    for other in others:
        place += r * n * first.element_size()
        if other.data_ptr() != place or other.shape != first.shape or other.stride() != first.stride():
            return torch.cat([first, *others], dim=1)
    return first.as_strided((slots, r * len(matrices), n), first.stride())


def _outer(matrices: Tensor, inner: Tensor, x: Tensor, scale: float, routing: Routing) -> Tensor | None:
    """Gradient with respect to `matrices`: added to what they have, where they have one, for autograd would copy it."""
    if matrices.is_leaf and matrices.grad is not None:
        routing.outer(inner, x, scale, into=matrices.grad)
        return None
    return routing.outer(inner, x, scale, into=torch.zeros_like(matrices))


def low_rank_linears(x: Tensor, layers: Sequence[Changed], scale: float, routing: Routing) -> Sequence[Tensor]:
    """What each layer makes of `x (…, in)`, plus its low-rank change by each row's slot."""
    if not all(layer.learns for layer in layers):  # without a gradient to the last bit as the model computes it
        return [add_low_rank(linear(x, one.weight, one.bias), x, one.a, one.b, scale, routing) for one in layers]
    given = [tensor for layer in layers for tensor in layer]
    found: tuple[Tensor, ...] = LowRankLinears.apply(x, scale, routing, *given)  # type: ignore[no-untyped-call]
    return found


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


_LOGITS_AT_ONCE = 2**19
_LEAST_ROWS = 128  # for fewer, reading the matrix would take longer than the product


class _FrozenCrossEntropy(Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
        learns = ctx.needs_input_grad[0]
        precision = wanted_precision()
        rows = max(_LEAST_ROWS, _LOGITS_AT_ONCE // len(weight)) if hidden.device.type == "cpu" else 4096
        nats = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden) if learns else None
        for begin in range(0, len(hidden), rows):
            part = slice(begin, begin + rows)
            logits = frozen_product(hidden[part], weight, bias, precision=precision).float()
            nats[part], d_logits = cross_entropy_(logits, targets[part])
            if gradient is not None:
                gradient[part] = frozen_product(d_logits, weight, back=True, precision=precision)
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return nats

    @staticmethod
    def backward(ctx: Any, d_nats: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * d_nats[:, None].to(gradient.dtype), None, None, None
