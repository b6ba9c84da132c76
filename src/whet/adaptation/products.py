"""Products with frozen matrices.

A matrix that never changes can be kept a second time in the order in which the processor reads it in a product, once
for the way forward and once for the way back. That is faster than what torch takes for plain products, most of all for
few rows, where the product would otherwise wait for the matrix. The order is that of `whet.models.panels` where that is
known to be faster and numba is installed, else oneDNN's own.

Where that is wanted, the factors are rounded to bfloat16 first (see `whet.models.precision`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple
from weakref import ReferenceType, ref

import torch
from torch import Tensor
from torch.nn.functional import linear

from whet.models.threads import in_threads, numba_is_there

_LIMIT_BYTES = 2**28
_AVAILABLE = torch.backends.mkldnn.is_available() and all(
    hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
)


def _in_tiles() -> frozenset[torch.dtype]:
    """In which precisions our own products are faster than oneDNN's, as far as is known."""
    there: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    if not numba_is_there() or not (there.get("avx512_f") or str(there.get("cpu_name", "")).startswith("Intel")):
        return frozenset()
    pairs = there.get("avx512_bf16") and not there.get("amx_bf16")
    return frozenset((torch.float32, torch.bfloat16) if pairs else (torch.float32,))


_TILES = _in_tiles()
_WORK_A_THREAD = 2**22
"""Multiplications; for fewer a second thread costs more than it saves."""


def _tiled(x: Tensor, panels: Tensor, y: Tensor, adds: bool) -> Tensor:
    """`x (n, in)` times a matrix in panels, written to or added to `y (n, out)`."""
    from whet.models.panels import product

    x, terms, columns = x.to(y.dtype).contiguous(), x.shape[1], y.shape[1]
    low = int(panels.dtype == torch.bfloat16)
    given = y.data_ptr(), x.data_ptr(), panels.data_ptr(), terms, columns, int(adds), low
    threads = min(torch.get_num_threads(), 1 + x.numel() * columns // _WORK_A_THREAD, len(x))
    rows = -(-len(x) // threads)
    in_threads(product, given, [(first, min(first + rows, len(x))) for first in range(0, len(x), rows)])
    return y


class Packed:
    """Matrices in the processor's order, by the matrix, the way and the precision; they go when it goes or changes.

    Args:
        limit_bytes: the most to keep; matrices that come later are not packed.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._kept: dict[int, _Kept] = {}

    def get(self, matrix: Tensor, back: bool, precision: torch.dtype = torch.float32) -> Tensor | None:
        """The matrix for the way forward, or turned for the way back; None if there is no room for it."""
        kept = self._kept.get(id(matrix))
        state = matrix._version, matrix.data_ptr()
        if kept is None or kept.matrix() is not matrix or kept.state != state:
            kept = self._kept[id(matrix)] = _Kept(ref(matrix, partial(self._forget, id(matrix))), state, {})
        found = kept.packs.get((back, precision))
        if found is None and self.bytes + matrix.numel() * precision.itemsize <= self.limit_bytes:
            found = kept.packs[back, precision] = _pack(matrix.detach(), back, precision)
        return found

    def _forget(self, place: int, _gone: ReferenceType[Tensor]) -> None:
        self._kept.pop(place, None)

    @property
    def bytes(self) -> int:
        """What is kept."""
        packs = [pack for kept in list(self._kept.values()) for pack in kept.packs.values()]
        return sum(pack.numel() * pack.element_size() for pack in packs)


class _Kept(NamedTuple):
    """A matrix, what tells whether it has changed, and itself in the processor's order by way and precision."""

    matrix: ReferenceType[Tensor]
    state: tuple[int, int]
    packs: dict[tuple[bool, torch.dtype], Tensor]


def _pack(matrix: Tensor, back: bool, precision: torch.dtype) -> Tensor:
    turned = matrix.T if back else matrix
    if _tiles(matrix, back, precision):
        from whet.models.panels import in_panels

        return in_panels(turned.T, precision)
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(turned.to(precision), None)
    return packed


def _tiles(matrix: Tensor, back: bool, precision: torch.dtype) -> bool:
    """Whether such products are made by `whet.models.panels`."""
    if precision not in _TILES:
        return False
    from whet.models.panels import fits

    columns, terms = reversed(matrix.shape) if back else matrix.shape
    return fits(terms, columns, precision)


_packed = Packed(_LIMIT_BYTES)


def in_panels(x: Tensor, matrices: Sequence[Tensor], back: bool, precision: torch.dtype) -> list[Tensor] | None:
    """The matrices in panels, if products of all of them with `x` are made by `whet.models.panels`."""
    found = [_get(x, matrix, back, precision) for matrix in matrices]
    panels = [one for one in found if one is not None and not one.is_mkldnn]
    return panels if len(panels) == len(matrices) else None


def frozen_product(
    x: Tensor,
    matrix: Tensor,
    bias: Tensor | None = None,
    *,
    back: bool = False,
    add: Tensor | None = None,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """`matrix @ x + bias` for each row of `x (n, in)`, or with `back` `matrixᵀ @ x`; without a gradient.

    With `add (n, out)` that is added; it may be overwritten.

    Args:
        x: may be of `rounded` already, to round it once for several products.
        matrix: `(out, in)`.
        bias: `(out,)`.
        back: whether the matrix is turned.
        add: see above.
        precision: of the factors, where `rounded` rounds to it; the result has the precision of the matrix.
    """
    packed = _get(x, matrix, back, precision)
    if packed is not None and not packed.is_mkldnn:
        return _tiled(x, packed, *begun(x, matrix, back, bias, add))
    found: Tensor
    if packed is None:
        found = linear(x.to(matrix.dtype), matrix.T if back else matrix, bias)
    elif precision == matrix.dtype and add is not None:
        found, add = torch.ops.mkldnn._linear_pointwise.binary(x, add, packed, bias, "add"), None
    else:
        bias = None if bias is None else bias.to(precision)
        found = torch.ops.mkldnn._linear_pointwise(x.to(precision), packed, bias, "none", [], "")
    return found.to(matrix.dtype) if add is None else add.add_(found)


def begun(x: Tensor, matrix: Tensor, back: bool, bias: Tensor | None, add: Tensor | None) -> tuple[Tensor, bool]:
    """Where the products of `x (n, in)` go, and whether they are added to what is there."""
    if add is not None:
        add = add.contiguous()
        return (add if bias is None else add.add_(bias)), True
    y = matrix.new_empty(len(x), matrix.shape[int(back)])
    return (y if bias is None else y.copy_(bias)), bias is not None


def rounded(x: Tensor, matrix: Tensor, precision: torch.dtype) -> Tensor:
    """`x` in this precision where the product with this matrix would otherwise round a copy of it."""
    low = precision == torch.bfloat16 and _packs(x, matrix) and not _tiles(matrix, False, precision)
    return x.to(precision) if low else x


def _get(x: Tensor, matrix: Tensor, back: bool, precision: torch.dtype) -> Tensor | None:
    """The matrix in the processor's order, if it is packed for such a product."""
    return _packed.get(matrix, back, precision) if _packs(x, matrix) else None


def _packs(x: Tensor, matrix: Tensor) -> bool:
    """Whether a matrix is packed for such a product."""
    single = matrix.dtype == torch.float32 and x.dtype in (torch.float32, torch.bfloat16)
    return _AVAILABLE and single and x.is_cpu and matrix.is_cpu and not matrix.is_inference()
