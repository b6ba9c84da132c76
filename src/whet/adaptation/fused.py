"""LoRA's change together with the linear layers that it changes, in one step there and one back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.functional import linear

from whet.adaptation.forms.lora import BoundLora
from whet.adaptation.kernels import Changed, low_rank_linears
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
                stack.enter_context(replaced_forward(module, _Forward(module, name, bound.config.scale, active)))
        else:
            stack.enter_context(bound.hooked(active))
        yield


@dataclass(frozen=True, eq=False)
class _Forward:
    """What takes the place of a linear layer's forward."""

    module: Any
    name: str
    scale: float
    active: Active

    def __call__(self, x: Tensor) -> Tensor:
        if self.active.routing is None:
            return linear(x, self.module.weight, self.module.bias)
        return self._changed(x, [self])[0]

    def together(self, modules: Sequence[nn.Module], x: Tensor) -> Sequence[Tensor] | None:
        """What several layers make of `x`, as `whet.models.fused.read_by` asks for it."""
        forwards = [module.forward for module in modules]
        if self.active.routing is None or not all(isinstance(forward, _Forward) for forward in forwards):
            return None
        return self._changed(x, forwards)

    def _changed(self, x: Tensor, forwards: Sequence[Any]) -> Sequence[Tensor]:
        assert self.active.routing is not None
        tensors = self.active.tensors
        layers = [
            Changed(one.module.weight, one.module.bias, tensors[f"{one.name}.A"], tensors[f"{one.name}.B"])
            for one in forwards
        ]
        return low_rank_linears(x, layers, self.scale, self.active.routing.of(x.numel() // x.shape[-1]))
