"""The low-rank change of a linear map, for the rows of many slots at once, with its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import linear

from whet.adaptation.products import begun, frozen_product, in_panels, rounded
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
        d_a = _new(a, routing.outer(d_inner, x.flatten(0, -2), scale, into=_sums(a)))
        d_b = _new(b, routing.outer(inner, rows, scale, into=_sums(b)))
        return dy, dx, d_a, d_b, None, None


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


class InPanels(NamedTuple):
    """A frozen matrix in panels and its low-rank change, for `SlotProducts.linears` and its way back."""

    y: Tensor
    """What the layer makes, or the gradient with respect to that: `(rows, out)`."""
    adds: bool
    panels: Tensor
    b: Tensor
    d_a: Tensor | None = None
    d_b: Tensor | None = None


class LowRankLinears(Function):
    """`W x + bias + scale · Bᵀ A x` for each row, with its slot's A and B, of several layers that read the same x.

    As `LowRank` after `linear`; but what all layers do to x, and with their gradients to that of x, is done at once.

    Shapes: `x (…, in)`; of each layer those of `Changed`, the ranks equal.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, routing: Routing, *given: Tensor | None) -> tuple[Tensor, ...]:
        layers, precision = _layers(given), wanted_precision()
        rows, a = x.flatten(0, -2).contiguous(), _beside([layer.a for layer in layers])
        panels = _panels(rows, a, layers, routing, precision, back=False)
        if panels is None:
            inner = routing.shrink(a, rows)
            parts = routing.apart(inner, [layer.rank for layer in layers])
            low = rounded(rows, layers[0].weight, precision)
            found = [
                routing.expand(frozen_product(low, one.weight, one.bias, precision=precision), part, one.b, scale)
                for one, part in zip(layers, parts, strict=True)
            ]
        else:
            changed = [
                InPanels(*begun(rows, one.weight, False, one.bias, None), panel, one.b)
                for one, panel in zip(layers, panels, strict=True)
            ]
            inner, found = routing.products.linears(rows, a, changed, scale), [one.y for one in changed]
        ctx.save_for_backward(x, inner, a, *given)
        ctx.scale, ctx.routing, ctx.precision = scale, routing, precision
        return tuple(y.view(*x.shape[:-1], -1) for y in found)

    @staticmethod
    def backward(ctx: Any, *d_found: Tensor) -> tuple[Tensor | None, ...]:
        x, inner, a, *given = ctx.saved_tensors
        routing, scale, layers, further = ctx.routing, ctx.scale, _layers(given), ctx.needs_input_grad[0]
        rows, d_rows = x.flatten(0, -2).contiguous(), [dy.flatten(0, -2).contiguous() for dy in d_found]
        into = [[_sums(matrices) for matrices in (one.a, one.b)] for one in layers]
        panels = _panels(rows, a, layers, routing, ctx.precision, back=True, read=further)
        if panels is None:
            d_inners = [routing.shrink(one.b, dy) for one, dy in zip(layers, d_rows, strict=True)]
            parts = routing.apart(inner, [one.rank for one in layers])
            for (d_a, d_b), dy, part, d_inner in zip(into, d_rows, parts, d_inners, strict=True):
                routing.outer(d_inner, rows, scale, into=d_a)
                routing.outer(part, dy, scale, into=d_b)
            dx = None
            for one, dy in zip(layers, d_rows, strict=True) if further else ():
                dx = frozen_product(dy, one.weight, back=True, add=dx, precision=ctx.precision)
            if dx is not None:
                routing.expand(dx, routing.side_by_side(d_inners), a, scale)
        else:
            changed = [
                InPanels(dy, False, panel, one.b, *own)
                for dy, panel, one, own in zip(d_rows, panels, layers, into, strict=True)
            ]
            dx = routing.products.linears_back(rows, inner, a, changed, scale, further=further)
        new = (
            grad
            for one, own in zip(layers, into, strict=True)
            for grad in (None, None, *map(_new, (one.a, one.b), own))
        )
        return None if dx is None else dx.view(x.shape), None, None, *new


def _panels(
    rows: Tensor,
    a: Tensor,
    layers: Sequence[Changed],
    routing: Routing,
    precision: torch.dtype,
    *,
    back: bool,
    read: bool = True,
) -> Sequence[Tensor] | None:
    """The layers' matrices as `whet.adaptation.compiled` takes them, if it can; any, if they are not to be `read`."""
    if not (routing.compiles(a) and rows.dtype == torch.float32):
        return None
    weights = [layer.weight for layer in layers]
    return in_panels(rows, weights, back, precision) if read else weights


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


def _sums(matrices: Tensor) -> Tensor:
    """Where a gradient is summed: in what there is of it, where there is one, for autograd would copy it; or zeros."""
    grad = matrices.grad if matrices.is_leaf else None
    return torch.zeros_like(matrices) if grad is None else grad


def _new(matrices: Tensor, sums: Tensor) -> Tensor | None:
    """What autograd has to add of a gradient."""
    return None if matrices.is_leaf and matrices.grad is sums else sums


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
