"""What the blocks below an adapter make of each example: computed once, kept for the steps to come.

Where adapters change the last blocks only, the states that the first changed block reads are the same in every step and
for every query. They are computed for several examples in one pass and kept up to a number of bytes; with a shelf (such
as `whet.memory.Shelf`) they are kept for later processes too.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from whet.models import LanguageModel

_TOKENS_A_PASS = 2048


class Shelf(Protocol):
    """A place on disk for arrays by key."""

    def get(self, key: str) -> np.ndarray | None:
        """The array of a key, if it is there."""

    def put(self, arrays: dict[str, np.ndarray]) -> None:
        """Keep arrays."""


class Prefixes:
    """States before a block, by the tokens that led to them.

    Args:
        model: the frozen model.
        block: number of the block that reads the states.
        limit_bytes: the most to keep in memory; the longest unused go first.
        shelf: where to look for what is not in memory, and to put what was computed.
    """

    def __init__(
        self, model: LanguageModel, block: int, *, limit_bytes: int = 2**28, shelf: Shelf | None = None
    ) -> None:
        self.model = model
        self.block = block
        self.limit_bytes = limit_bytes
        self.shelf = shelf
        self._kept: OrderedDict[tuple[int, ...], Tensor] = OrderedDict()
        self._bytes = 0

    def get(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """States of these token sequences, end to end: `(all tokens, width)`."""
        import torch

        keys = [tuple(ids) for ids in sequences]
        found = {key: states for key in keys if (states := self._known(key)) is not None}
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        found |= self._computed(missing)
        for key in keys:
            self._keep(key, found[key])
        return torch.cat([found[key] for key in keys])

    def _known(self, key: tuple[int, ...]) -> Tensor | None:
        import torch

        if key in self._kept:
            return self._kept[key]
        stored = self.shelf.get(self._name(key)) if self.shelf is not None else None
        return None if stored is None else torch.from_numpy(stored).to(self.model.device)

    def _computed(self, keys: list[tuple[int, ...]]) -> dict[tuple[int, ...], Tensor]:
        import torch

        reader = self.model.reader
        found: dict[tuple[int, ...], Tensor] = {}
        while keys:
            together, keys = _first_pass(keys)
            with torch.no_grad():
                batch = reader.batch(together)
                states = reader.prefix(batch, self.block)
            found |= dict(zip(together, states.split(batch.lengths), strict=True))
        if self.shelf is not None and found:
            self.shelf.put({self._name(key): states.cpu().numpy() for key, states in found.items()})
        return found

    def _keep(self, key: tuple[int, ...], states: Tensor) -> None:
        if key in self._kept:
            self._kept.move_to_end(key)
            return
        self._kept[key] = states.clone()  # a view would hold on to the whole pass
        self._bytes += states.numel() * states.element_size()
        while self._bytes > self.limit_bytes and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.numel() * gone.element_size()

    def _name(self, key: tuple[int, ...]) -> str:
        content = f"{self.model.fingerprint} {self.block} {key}"
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _first_pass(keys: list[tuple[int, ...]]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Split off as many sequences as one pass should read: at least one."""
    tokens, count = 0, 0
    for key in keys:
        tokens += len(key)
        if count and tokens > _TOKENS_A_PASS:
            break
        count += 1
    return keys[:count], keys[count:]
