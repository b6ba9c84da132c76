"""What a form of adapter has to offer: the shapes of one slot, its first weights, and how it changes the model."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from whet.adaptation.layout import Layout
    from whet.adaptation.routing import Routing


@dataclass
class Active:
    """What the hooks of a form read when the model runs; the bank changes it from pass to pass.

    Attributes:
        tensors: the tensors of the slots in the batch by name, `(slots, *shape)` each; empty while none is routed.
        routing: which rows of the batch belong to which of them.
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    routing: Routing | None = None


class Bound(Protocol):
    """A form fitted to a model.

    Attributes:
        first_block: number of the first transformer block that it changes; what the blocks before it compute is that of
            the frozen model.
        alone: whether a pass can be for one slot only.
    """

    first_block: int
    alone: bool

    @property
    def layout(self) -> Layout:
        """Names and shapes of one slot's tensors."""

    def fresh(self, generator: Generator) -> dict[str, Tensor]:
        """First weights of a slot, with which the model computes as without an adapter."""

    def hooked(self, active: Active) -> AbstractContextManager[None]:
        """Within this block the model computes with what is active, and as ever while nothing is."""

    def to_peft(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """One slot's tensors as an adapter folder holds them: settings, and tensors under PEFT's names."""

    def from_peft(self, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The reverse of `to_peft`.

        Raises:
            AdapterError: they are of another form, or do not fit the model.
        """


class Form(Protocol):
    """The settings of a form: a frozen dataclass of plain values."""

    def bind(self, module: nn.Module) -> Bound:
        """Fit the form to a model.

        Raises:
            ModelError: the model lacks what the form changes.
        """
