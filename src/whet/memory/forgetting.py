"""Removing examples together with everything that was learnt from them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from whet.errors import InputError
from whet.memory.store import Memory


@dataclass(frozen=True)
class Forgotten:
    """What was removed: examples, and adapters that were trained on one of them."""

    examples: int
    adapters: int


def forget(memory: Memory, example_ids: Collection[str]) -> Forgotten:
    """Remove examples and every adapter that was trained on one of them.

    Adapters go first: whatever stops this halfway, doing it again does the rest.

    Raises:
        InputError: there are no examples of some of these ids; nothing is removed then.
    """
    unknown = [id for id in example_ids if id not in memory]
    if unknown:
        raise InputError(
            f"the memory {str(memory.path)!r} has no example {', '.join(unknown)}; nothing was removed. "
            "Ids are those of `Example.id`; leave out the ones that are gone."
        )
    adapters = memory.adapters.forget(example_ids)
    return Forgotten(examples=memory.remove(example_ids), adapters=adapters)
