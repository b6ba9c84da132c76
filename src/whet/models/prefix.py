"""The first blocks of a transformer once, and forward passes that start behind them.

Where adapters change the last blocks only, what the blocks before them make of a text never changes. It can be computed
once, kept, and handed to the first changed block in every pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from whet.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn


class _ReachedError(Exception):
    """Carries the states out of a pass that need not go on."""

    def __init__(self, states: Tensor) -> None:
        self.states = states


def find_blocks(backbone: nn.Module) -> nn.ModuleList:
    """The transformer blocks of a model: its list of modules that is as long as the number of layers.

    Raises:
        ModelError: there is no such list.
    """
    from torch import nn

    wanted = int(getattr(getattr(backbone, "config", None), "num_hidden_layers", 0))
    for part in backbone.modules():
        if isinstance(part, nn.ModuleList) and len(part) == wanted:
            return part
    raise ModelError(f"{type(backbone).__name__} has no list of {wanted} blocks, so no block of it can be left out.")


@contextmanager
def stopping_before(block: nn.Module) -> Iterator[list[Tensor]]:
    """A pass within this block of code ends where `block` begins; the list then holds the states it would have read."""
    found: list[Tensor] = []

    def stop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        raise _ReachedError(args[0] if args else kwargs["hidden_states"])

    handle = block.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        yield found
    except _ReachedError as reached:
        found.append(reached.states)
    finally:
        handle.remove()


@contextmanager
def starting_at(blocks: nn.ModuleList, first: int, states: Tensor) -> Iterator[None]:
    """A pass within this block of code skips the blocks before `first`, which reads `states` instead."""

    def replace(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (states, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": states}

    with ExitStack() as stack:
        for block in blocks[:first]:
            stack.enter_context(replaced_forward(block, _unchanged))
        stack.callback(blocks[first].register_forward_pre_hook(replace, with_kwargs=True).remove)
        yield


@contextmanager
def replaced_forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Within this block of code the module computes by `forward`; after it, as it did before."""
    changed: Any = module
    before = vars(module).get("forward")
    changed.forward = forward
    try:
        yield
    finally:
        if before is None:
            del changed.forward  # the class's own shows again
        else:
            changed.forward = before


def _unchanged(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
    return hidden_states
