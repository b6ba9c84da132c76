"""LoRA's change together with the linear layer that it changes, in one step there and one back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.functional import linear

from whet.adaptation.forms.lora import BoundLora
from whet.adaptation.kernels import low_rank_linear
from whet.models.prefix import replaced_forward

if TYPE_CHECKING:
    from torch import Tensor

    from whet.adaptation.forms.base import Active, Bound


@contextmanager
def hooked(bound: Bound, active: Active) -> Iterator[None]:
    """As `bound.hooked(active)`, but plain LoRA on linear layers takes their place instead of following them."""
    with ExitStack() as stack:
        if type(bound) is BoundLora and all(type(module) is nn.Linear for module in bound.modules.values()):
            for name, module in bound.modules.items():
                stack.enter_context(replaced_forward(module, _changed(module, name, bound.config.scale, active)))
        else:
            stack.enter_context(bound.hooked(active))
        yield


def _changed(module: Any, name: str, scale: float, active: Active) -> Callable[[Tensor], Tensor]:
    a, b = f"{name}.A", f"{name}.B"

    def forward(x: Tensor) -> Tensor:
        if active.routing is None:
            return linear(x, module.weight, module.bias)
        routing = active.routing.of(x.numel() // x.shape[-1])
        return low_rank_linear(x, module.weight, module.bias, active.tensors[a], active.tensors[b], scale, routing)

    return forward
