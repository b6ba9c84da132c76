"""Full fine-tuning: each slot has its own copy of the model's parameters, or of some of them.

The parameters of the frozen model are never written. Within the block other tensors are in their place; after it the
very same parameters are back. A pass has the parameters of one slot only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whet.adaptation.forms.base import Active
from whet.adaptation.forms.files import match
from whet.adaptation.forms.swap import put
from whet.adaptation.layout import Layout
from whet.adaptation.targets import Layers, find_within, last_blocks
from whet.errors import AdapterError, InputError, ModelError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

_KIND = "WHET_FULL"


@dataclass(frozen=True)
class FullConfig:
    """Which parameters are learnt.

    Attributes:
        target_modules: learn the parameters within modules of these names only (`("mlp",)`); None for the whole model.
        layers: learn those in the last so many of the model's blocks only, or with a number below 1 in that share.
    """

    target_modules: str | tuple[str, ...] | None = None
    layers: Layers = None

    def bind(self, module: nn.Module) -> BoundFull:
        """Fit to a model.

        Raises:
            ModelError: the model lacks the target modules, or there are no parameters within them.
            InputError: `layers` is above the number of blocks.
        """
        within = find_within(module, self.target_modules, self.layers)
        wanted = {id(own) for part in within.values() for own in part._parameters.values()}
        # each once, also where it is tied
        learnt = {name: own for name, own in module.named_parameters() if id(own) in wanted}
        if not learnt:
            raise ModelError(
                f"{type(module).__name__} has no parameters within target_modules={self.target_modules} and "
                f"layers={self.layers}; name other modules, or None for the whole model."
            )
        first = 0 if self.layers is None else last_blocks(module, self.layers)[0]
        return BoundFull(module, learnt, first)


class BoundFull:
    """A copy of the named parameters of a model for each slot.

    Attributes:
        alone: that a pass has one slot only.
    """

    alone = True

    def __init__(self, module: nn.Module, learnt: Mapping[str, nn.Parameter], first_block: int) -> None:
        self.module = module
        self.first_block = first_block
        self.layout = Layout({name: tuple(own.shape) for name, own in learnt.items()})
        self._base = dict(learnt)
        names = {id(own): name for name, own in learnt.items()}
        self._places = [
            (part, place, names[id(own)])
            for part in module.modules()
            for place, own in part._parameters.items()
            if id(own) in names
        ]

    def fresh(self, generator: Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """Those of the frozen model, whatever the seed."""
        return {name: own.detach() for name, own in self._base.items()}

    @contextmanager
    def hooked(self, active: Active) -> Iterator[None]:
        """Put the parameters of the active slot in their places before each pass, while the block lasts."""
        inside: Mapping[str, Tensor] = {}

        def change(*_: Any) -> None:
            nonlocal inside
            if active.tensors is inside:
                return
            if active.routing is not None and len(active.routing.rows) > 1:
                raise InputError(
                    f"{len(active.routing.rows)} slots are routed, but full fine-tuning has one slot a pass; "
                    "route them one after the other."
                )
            inside = active.tensors
            self._put({name: tensor.squeeze(0) for name, tensor in inside.items()})

        with ExitStack() as stack:
            stack.callback(self._put, {})
            for part in self.module.modules():  # a pass may begin with any of them
                stack.callback(part.register_forward_pre_hook(change).remove)
            yield

    def to_peft(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings, and tensors as `load_state_dict` of the model takes them; PEFT has no such form."""
        return {"peft_type": _KIND}, dict(tensors)

    def from_peft(self, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The reverse of `to_peft`.

        Raises:
            AdapterError: it is of another form, or does not fit the model.
        """
        if settings.get("peft_type") != _KIND:
            raise AdapterError(
                f"an adapter of type {settings.get('peft_type')!r} cannot be used as full fine-tuning; give the form "
                "that it was saved from."
            )
        return match(self.layout, {name: name for name in self.layout.shapes}, weights)

    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        """Put these tensors in their places, or the model's own where there are none."""
        for part, place, name in self._places:
            own = self._base[name]
            put(part, {place: tensors[name].to(own.dtype) if tensors else own})
