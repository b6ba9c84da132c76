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
    """Remove examples, every adapter that was trained on one of them, and all kept activations.

    Adapters go first: whatever stops this halfway, doing it again does the rest. Adapters go last again: another
    process may have finished one meanwhile that it had begun before.

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
    memory.activations.clear()
    examples = memory.remove(example_ids)
    return Forgotten(examples=examples, adapters=adapters + memory.adapters.forget(example_ids))
