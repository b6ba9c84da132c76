"""SLOT: one vector, added to the last hidden states before the output matrix turns them into logits.

    logits = W (h + v)

Source: Hu et al. 2025, arXiv 2505.12392; the vector is zero at first, and the blocks are never gone through backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whet.adaptation.forms.base import Active
from whet.adaptation.forms.files import match
from whet.adaptation.layout import Layout
from whet.adaptation.targets import last_blocks, output_matrix
from whet.errors import AdapterError, ModelError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

_KIND = "WHET_VECTOR"


@dataclass(frozen=True)
class VectorConfig:
    """A vector of the size of the hidden states; there is nothing to set."""

    def bind(self, module: nn.Module) -> BoundVector:
        """Fit to a language model.

        Raises:
            ModelError: the model has no output matrix.
        """
        matrix = output_matrix(module)
        if matrix is None or getattr(module, "base_model", module) is module:
            raise ModelError(
                f"{type(module).__name__} has no output matrix after its blocks, before which a vector could be added; "
                "use another form of adapter, such as LoRA."
            )
        # no block is changed, but a pass has to begin with one
        return BoundVector(module, matrix.get_parameter("weight").shape[1], last_blocks(module, 1)[0])


class BoundVector:
    """A vector added to a model's last hidden states."""

    alone = False

    def __init__(self, module: nn.Module, width: int, first_block: int) -> None:
        self.module: Any = module
        self.first_block = first_block
        self.layout = Layout({"vector": (width,)})

    def fresh(self, generator: Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """Zeros, whatever the seed."""
        import torch

        return {"vector": torch.zeros(self.layout.shapes["vector"])}

    @contextmanager
    def hooked(self, active: Active) -> Iterator[None]:
        """Add each slot's vector to its rows, while the block lasts."""

        def add(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
            if active.routing is not None:
                states = output.last_hidden_state
                routing = active.routing.of(states.numel() // states.shape[-1])
                vectors = routing.spread(active.tensors["vector"].to(states.dtype))
                output.last_hidden_state = states + vectors.view_as(states)
            return output

        handle = self.module.base_model.register_forward_hook(add)
        try:
            yield
        finally:
            handle.remove()

    def to_peft(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings and the tensor; PEFT has no such form."""
        return {"peft_type": _KIND}, dict(tensors)

    def from_peft(self, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The reverse of `to_peft`.

        Raises:
            AdapterError: it is of another form, or does not fit the model.
        """
        if settings.get("peft_type") != _KIND:
            raise AdapterError(
                f"an adapter of type {settings.get('peft_type')!r} cannot be used as a vector; give the form that it "
                "was saved from."
            )
        return match(self.layout, {"vector": "vector"}, weights)
