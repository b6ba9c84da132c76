"""Products with frozen matrices.

A matrix that never changes can be kept a second time in the order in which the processor reads it in a product. That
is faster than what torch takes for plain products, most of all for few rows, where the product would otherwise wait for
the matrix. On most processors the order is oneDNN's own, once for the way forward and once for the way back. On Intel's
MKL is faster still where it need not turn a matrix: there a turned copy serves the way forward, and the matrix itself
the way back.

Where that is wanted, the factors are rounded to bfloat16 first (see `whet.models.precision`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.utils.weak import WeakIdKeyDictionary

_LIMIT_BYTES = 2**28
_AVAILABLE = torch.backends.mkldnn.is_available() and all(
    hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
)


def _prefers_mkl() -> bool:
    """Whether MKL's products in float32 are the faster ones: on processors by its own maker."""
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.backends.mkl.is_available() and str(capabilities.get("cpu_name", "")).startswith("Intel")


_MKL = _prefers_mkl()
_MKL_TERMS = 768
"""Longer sums MKL takes in another order for other numbers of rows, and an adapter would depend on its company."""


def _by_mkl(precision: torch.dtype) -> bool:
    """Whether MKL makes such products."""
    return _MKL and precision == torch.float32


def _mkl_product(x: Tensor, matrix: Tensor, bias: Tensor | None, add: Tensor | None) -> Tensor:
    """`x (n, in)` times `matrix (in, out)`, which for each row is the same for any n."""
    if len(x) == 1:  # for one row MKL has a routine of its own, which sums in another order
        return _mkl_product(x.expand(2, -1), matrix, bias, None if add is None else add.expand(2, -1).clone())[:1]
    terms = len(matrix)
    if terms > _MKL_TERMS:
        half = terms // 2
        add = _mkl_product(x[:, :half], matrix[:half], None, add)
        return _mkl_product(x[:, half:], matrix[half:], bias, add)
    if add is None:
        return torch.mm(x, matrix) if bias is None else torch.addmm(bias, x, matrix)
    return add.addmm_(x, matrix) if bias is None else add.addmm_(x, matrix).add_(bias)


class Packed:
    """Matrices in the processor's order, by the matrix, the way and the precision; they go when it goes or changes.

    Args:
        limit_bytes: the most to keep; matrices that come later are not packed.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._kept = WeakIdKeyDictionary()

    def get(self, matrix: Tensor, back: bool, precision: torch.dtype = torch.float32) -> Tensor | None:
        """The matrix for the way forward, or turned for the way back; None if there is no room for it.

        For MKL, `(in, out)` as the product reads it, which on the way back is the matrix itself.
        """
        mkl = _by_mkl(precision)
        if mkl and back and matrix.is_contiguous():
            return matrix
        state = matrix._version, matrix.data_ptr()
        before, packs = self._kept.get(matrix, (None, {}))
        if before != state:
            packs = {}
            self._kept[matrix] = state, packs
        way = back, precision
        if way not in packs:
            if self.bytes + matrix.numel() * precision.itemsize > self.limit_bytes:
                return None
            turned = (matrix.T if back else matrix).to(precision)
            packs[way] = turned.T.contiguous() if mkl else torch.ops.mkldnn._reorder_linear_weight(turned, None)
        found: Tensor = packs[way]
        return found

    @property
    def bytes(self) -> int:
        """What is kept."""
        kept = ((matrix, precision) for matrix, (_, packs) in self._kept.items() for _, precision in packs)
        return sum(matrix.numel() * precision.itemsize for matrix, precision in kept)


_packed = Packed(_LIMIT_BYTES)


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
    read = rounded(x, matrix, precision)
    packed = _packed.get(matrix, back, read.dtype) if _packs(x, matrix) else None
    found: Tensor
    if packed is None:
        found = linear(x.to(matrix.dtype), matrix.T if back else matrix, bias)
    elif _by_mkl(read.dtype):
        return _mkl_product(read, packed, bias, add)
    elif read.dtype == matrix.dtype and add is not None:
        found = torch.ops.mkldnn._linear_pointwise.binary(read, add, packed, bias, "add")
        return found
    else:
        bias = None if bias is None else bias.to(read.dtype)
        found = torch.ops.mkldnn._linear_pointwise(read, packed, bias, "none", [], "")
    return found.to(matrix.dtype) if add is None else add.add_(found)


def rounded(x: Tensor, matrix: Tensor, precision: torch.dtype) -> Tensor:
    """`x` in this precision where it is to be multiplied with a float32 matrix on a processor."""
    return x.to(precision) if precision == torch.bfloat16 and _packs(x, matrix) else x


def _packs(x: Tensor, matrix: Tensor) -> bool:
    """Whether a matrix is packed for such a product."""
    single = matrix.dtype == torch.float32 and x.dtype in (torch.float32, torch.bfloat16)
    return _AVAILABLE and single and x.is_cpu and matrix.is_cpu and not matrix.is_inference()
