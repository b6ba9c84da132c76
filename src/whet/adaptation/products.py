"""Products with frozen matrices.

A matrix that never changes can be kept a second time in the order in which the processor reads it in a product, once
for the way forward and once for the way back. oneDNN then is faster than what torch takes for plain products, most of
all for few rows, where the product would otherwise wait for the matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.utils.weak import WeakIdKeyDictionary

_LIMIT_BYTES = 2**28
_AVAILABLE = torch.backends.mkldnn.is_available() and all(
    hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
)


class Packed:
    """Matrices in the processor's order, by the matrix and the way; they go when it goes or changes.

    Args:
        limit_bytes: the most to keep; matrices that come later are not packed.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._kept = WeakIdKeyDictionary()

    def get(self, matrix: Tensor, back: bool) -> Tensor | None:
        """The matrix for the way forward, or turned for the way back; None if there is no room for it."""
        state = matrix._version, matrix.data_ptr()
        before, packs = self._kept.get(matrix, (None, {}))
        if before != state:
            packs = {}
            self._kept[matrix] = state, packs
        if back not in packs:
            if self.bytes + matrix.nbytes > self.limit_bytes:
                return None
            packs[back] = torch.ops.mkldnn._reorder_linear_weight(matrix.T if back else matrix, None)
        found: Tensor = packs[back]
        return found

    @property
    def bytes(self) -> int:
        """What is kept."""
        return sum(matrix.nbytes * len(packs) for matrix, (_, packs) in self._kept.items())


_packed = Packed(_LIMIT_BYTES)


def frozen_product(
    x: Tensor, matrix: Tensor, bias: Tensor | None = None, *, back: bool = False, add: Tensor | None = None
) -> Tensor:
    """`matrix @ x + bias` for each row of `x (n, in)`, or with `back` `matrixᵀ @ x`; without a gradient.

    With `add (n, out)` that is added; it may be overwritten.
    """
    single = x.dtype == matrix.dtype == torch.float32 and x.device.type == matrix.device.type == "cpu"
    if _AVAILABLE and single and not matrix.is_inference():
        packed = _packed.get(matrix, back)
        if packed is not None:
            found: Tensor
            if add is None:
                found = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
            else:
                found = torch.ops.mkldnn._linear_pointwise.binary(x, add, packed, bias, "add")
            return found
    found = linear(x, matrix.T if back else matrix, bias)
    return found if add is None else add.add_(found)
