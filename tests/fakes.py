"""Stand-ins for what is slow or large: deterministic, and with the same contract as the real ones."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class HashEmbedder:
    """Hashed character trigrams: texts that share words are similar, and the same text always has the same vector."""

    name: str = "hash"
    dimension: int = 32

    def embed(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            padded = f"  {text[:20_000]}  ".encode("utf-8", "surrogatepass")
            for begin in range(len(padded) - 2):
                code = zlib.crc32(padded[begin : begin + 3])
                vectors[row, code % self.dimension] += 1.0 if code & 0x10000 else -1.0
            vectors[row, 0] += 0.5  # No text may come out as zero.
            if progress is not None:
                progress(row + 1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
