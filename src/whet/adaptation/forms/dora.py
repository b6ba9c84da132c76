"""DoRA: LoRA that learns the length of each row of a matrix apart from its direction.

    y = b + m / ‖W + s B A‖ · (W + s B A) x,   m = ‖W‖ and B = 0 at first

with the norms taken over each row, so for each output (Liu et al. 2024, arXiv 2402.09353, eq. 5). The norm counts as a
constant in the gradient (§4.3), as in PEFT. No matrix of the size of W is made for a slot: of each row i

    ‖W_i + s (B A)_i‖² = ‖W_i‖² + B_i · (2 s A Wᵀ + s² A Aᵀ Bᵀ)_i
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from whet.adaptation.forms.base import Active
from whet.adaptation.forms.lora import BoundLora, Hook, LoraConfig
from whet.adaptation.layout import Layout
from whet.adaptation.targets import is_convolution, is_transposed
from whet.errors import InputError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class BoundDora(BoundLora):
    """DoRA on the named linear modules of a model.

    Raises:
        InputError: one of them is a convolution, or the rank is above the size of one.
    """

    def __init__(self, config: LoraConfig, modules: Mapping[str, nn.Module], first_block: int) -> None:
        for name, module in modules.items():
            if is_convolution(module):
                raise InputError(
                    f"use_dora=True: {name} is a convolution, and DoRA changes linear modules only; "
                    "leave it out of target_modules, or use plain LoRA."
                )
        super().__init__(config, modules, first_block)
        self._squares = {name: _weight(module).square().sum(1) for name, module in modules.items()}
        lengths = {f"{name}.m": tuple(squares.shape) for name, squares in self._squares.items()}
        self.layout = Layout({**self.layout.shapes, **lengths})

    def fresh(self, generator: Generator) -> dict[str, Tensor]:
        """A and B as those of LoRA, and m the lengths of the rows of W."""
        tensors = super().fresh(generator)
        return tensors | {f"{name}.m": squares.sqrt() for name, squares in self._squares.items()}

    def hook(self, name: str, active: Active) -> Hook:
        """What changes the output of the module of this name."""
        from whet.adaptation.kernels import add_low_rank, slot_affine

        prepared = _Prepared(name, self.config.scale, self._squares[name])

        def change(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if active.routing is None:
                return output
            x = inputs[0]
            routing = active.routing.of(x.numel() // x.shape[-1])
            gain, shift, up = prepared.get(module, active.tensors)
            # of a fresh slot the gain is 1 and this is the output bit for bit
            scaled = slot_affine(output, gain, shift, routing)
            return add_low_rank(scaled, x, active.tensors[f"{name}.A"], up, self.config.scale, routing)

        return change


class _Prepared:
    """What a module's tensors come to, whatever it reads; kept while they stay as they are, as in generation."""

    def __init__(self, name: str, scale: float, squares: Tensor) -> None:
        self._names = [f"{name}.{part}" for part in "ABm"]
        self._scale = scale
        self._squares = squares
        self._of: tuple[Mapping[str, Tensor], int] | None = None
        self._kept: tuple[Tensor, Tensor | None, Tensor]

    def get(self, module: nn.Module, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None, Tensor]:
        """Factor of the output and what is added to it, `(slots, out)` each, and B turned times the factor."""
        a, b, m = (tensors[name] for name in self._names)
        version = -1 if m.is_inference() else m._version  # one number for all that lies in the same storage
        if self._of is not None and self._of[0] is tensors and self._of[1] == version:
            return self._kept
        gain = m / _row_norms(_weight(module), self._squares, a.detach(), b.detach(), self._scale)
        bias = module._parameters.get("bias")
        found = gain, None if bias is None else (1 - gain) * bias, gain[:, None] * b
        if not m.requires_grad:
            self._of, self._kept = (tensors, version), found
        return found


def _weight(module: nn.Module) -> Tensor:
    """The matrix of a linear module, `(out, in)`."""
    weight = module.get_parameter("weight").detach()
    return weight.T if is_transposed(module) else weight


def _row_norms(weight: Tensor, squares: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    """Norm of each row of W + s B A, `(slots, out)`; that of a row of zeros is given as infinite, to be divided by.

    Args:
        weight: W, `(out, in)`.
        squares: squared norm of each of its rows, `(out,)`.
        a, b: A `(slots, r, in)`, and B turned, `(slots, r, out)`.
        scale: s.
    """
    gram = a @ a.transpose(1, 2)
    change = (b * (2 * scale * (a @ weight.T) + scale**2 * (gram @ b))).sum(1)
    found = squares + change
    return found.masked_fill(found <= 0, math.inf).sqrt()
