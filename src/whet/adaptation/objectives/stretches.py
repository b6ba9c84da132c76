"""Losses that look at all logits of a token, without the logits of all tokens at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import Function
from torch.nn.functional import linear

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models.packing import Reader

_LOGITS_AT_ONCE = 2**22  # more are no faster on a processor, and cost memory

RowLoss = Callable[["Tensor", slice], "Tensor"]


def row_losses(reader: Reader, hidden: Tensor, loss: RowLoss) -> Tensor:
    """One number `(n,)`, float32 at least, for each of the hidden states `(n, width)`, from its logits.

    The output layer is frozen, so the gradient with respect to `hidden` is made on the way forward, a stretch of rows
    at a time; no more than one stretch's logits exist at once.

    Args:
        reader: of the model.
        hidden: last hidden states.
        loss: given the logits `(m, V)`, float32 at least, of a stretch and which rows these are, their losses `(m,)`;
            each may depend on its own row's logits only.
    """
    result: Tensor = _RowLosses.apply(hidden, reader, loss)  # type: ignore[no-untyped-call]
    return result


def logits_of(reader: Reader, hidden: Tensor) -> Tensor:
    """Logits `(n, V)`, float32 at least, of hidden states `(n, width)`, by the shortest way."""
    logits = reader.logits(hidden) if reader.output is None else linear(hidden, *reader.output)
    return logits.to(_at_least_single(logits))


def _at_least_single(states: Tensor) -> torch.dtype:
    return torch.promote_types(states.dtype, torch.float32)


class _RowLosses(Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, reader: Reader, loss: RowLoss) -> Tensor:
        learns = ctx.needs_input_grad[0]
        losses = torch.empty(len(hidden), dtype=_at_least_single(hidden), device=hidden.device)
        gradient = torch.empty_like(hidden) if learns else None
        rows = max(1, _LOGITS_AT_ONCE // int(reader.model.module.config.vocab_size))
        for begin in range(0, len(hidden), rows):
            part = slice(begin, begin + rows)
            with torch.set_grad_enabled(learns):
                states = hidden[part].detach().requires_grad_(learns)
                found = loss(logits_of(reader, states), part)
            losses[part] = found.detach()
            if gradient is not None:
                (gradient[part],) = torch.autograd.grad(found, states, torch.ones_like(found))
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    def backward(ctx: Any, d_losses: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * d_losses[:, None].to(gradient.dtype), None, None
