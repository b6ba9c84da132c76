"""Other tensors in the place of a module's parameters, for a while; the parameters themselves are never written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@contextmanager
def swapped(module: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Within this block the module's own parameters of these names are other tensors; then they are back."""
    own = dict(module._parameters)
    put(module, tensors)
    try:
        yield
    finally:
        module._parameters.update(own)


def put(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Have the module find these tensors where it looks for its own parameters."""
    # past `setattr`, which takes parameters only and would leave a tensor of the slots without its gradient
    parameters: dict[str, Any] = module._parameters
    parameters.update(tensors)
