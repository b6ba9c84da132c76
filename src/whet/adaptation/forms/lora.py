"""LoRA: a low-rank change of a frozen model's matrices.

    y = W x + s · B A x,   A: `(r, in)`, B: `(out, r)`, B = 0 at first; B is kept turned

with s = α / r (Hu et al. 2021, arXiv 2106.09685, §4.1), or α / √r for rank-stabilised LoRA (Kalajdzievski 2023, arXiv
2312.03732). Of a convolution, A is a convolution of the same geometry to r channels and B one of size 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from whet.adaptation.forms.base import Active
from whet.adaptation.forms.files import PREFIX, match
from whet.adaptation.layout import Layout
from whet.adaptation.targets import ALL_LINEAR, Layers, find_targets, is_convolution, is_transposed, last_blocks
from whet.errors import AdapterError, InputError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from whet.adaptation.routing import Routing

_PEFT_PARTS = {"A": "lora_A.weight", "B": "lora_B.weight", "m": "lora_magnitude_vector"}


@dataclass(frozen=True)
class LoraConfig:
    """Shape of a LoRA adapter, in PEFT's words.

    Attributes:
        r: rank, at least 1.
        lora_alpha: the change is scaled by `lora_alpha / r`.
        target_modules: last parts of the names of the modules to change (`("q_proj", "v_proj")`), or `all-linear`
            for every linear layer but the output matrix.
        layers: change only the last so many of the model's blocks, or with a number below 1 that share of them.
        use_rslora: scale by `lora_alpha / sqrt(r)` instead.
        use_dora: learn the length of each row of a matrix apart from its direction (DoRA, see `dora.py`).
    """

    r: int = 8
    lora_alpha: float = 16.0
    target_modules: str | tuple[str, ...] = ALL_LINEAR
    layers: Layers = None
    use_rslora: bool = False
    use_dora: bool = False

    def __post_init__(self) -> None:
        if self.r < 1:
            raise InputError(f"r={self.r}: the rank of a LoRA adapter is at least 1.")
        if not (math.isfinite(self.lora_alpha) and self.lora_alpha > 0):
            raise InputError(f"lora_alpha={self.lora_alpha}: give a positive number.")

    @property
    def scale(self) -> float:
        """What B A x is multiplied by."""
        return self.lora_alpha / (math.sqrt(self.r) if self.use_rslora else self.r)

    def bind(self, module: nn.Module) -> BoundLora:
        """Fit to a model.

        Raises:
            ModelError: the model lacks the target modules.
            InputError: the rank is above the size of one of them, `layers` is above the number of blocks, or one is a
                convolution where DoRA is asked for.
        """
        from whet.adaptation.forms.dora import BoundDora

        modules = find_targets(module, self.target_modules, self.layers)
        first = 0 if self.layers is None else last_blocks(module, self.layers)[0]
        return (BoundDora if self.use_dora else BoundLora)(self, modules, first)


class BoundLora:
    """LoRA on the named modules of a model."""

    alone = False

    def __init__(self, config: LoraConfig, modules: Mapping[str, nn.Module], first_block: int) -> None:
        self.config = config
        self.first_block = first_block
        self.modules = dict(modules)
        first: dict[str, tuple[int, ...]] = {}
        second: dict[str, tuple[int, ...]] = {}
        for name, module in self.modules.items():
            a, b = _shapes(module, config.r)
            n_in, n_out = math.prod(a[1:]), b[0] if is_convolution(module) else b[1]
            if config.r > min(n_in, n_out):
                raise InputError(
                    f"r={config.r} is above the size of {name}, which maps {n_in} to {n_out}; "
                    "give a smaller rank, or leave that module out of target_modules."
                )
            first[f"{name}.A"], second[f"{name}.B"] = a, b
        # all A first: those of modules that read the same lie side by side, and are one matrix in a product
        self.layout = Layout(first | second)

    def fresh(self, generator: Generator) -> dict[str, Tensor]:
        """A from the uniform Kaiming distribution (as in PEFT), B zero."""
        import torch

        shapes = self.layout.shapes
        drawn = [name for name in shapes if name.endswith(".A")]
        draws = (torch.rand(len(self._roots), generator=generator) * 2 - 1).div_(self._roots)
        parts = draws.split([math.prod(shapes[name]) for name in drawn])
        first = {name: part.view(shapes[name]) for name, part in zip(drawn, parts, strict=True)}
        return {name: first[name] if name in first else torch.zeros(shape) for name, shape in shapes.items()}

    @cached_property
    def _roots(self) -> Tensor:
        """Roots of the inputs of A, for all their numbers end to end."""
        import torch

        shapes = [shape for name, shape in self.layout.shapes.items() if name.endswith(".A")]
        return torch.cat([torch.full((math.prod(shape),), math.sqrt(math.prod(shape[1:]))) for shape in shapes])

    @contextmanager
    def hooked(self, active: Active) -> Iterator[None]:
        """Add the change to what the modules compute, while the block lasts."""
        with ExitStack() as stack:
            for name, module in self.modules.items():
                stack.callback(module.register_forward_hook(self.hook(name, active)).remove)
            yield

    def hook(self, name: str, active: Active) -> Hook:
        """What changes the output of the module of this name."""
        return _hook(name, self.config.scale, active)

    def to_peft(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings and tensors as PEFT's LoRA has them."""
        settings = {
            "peft_type": "LORA",
            "r": self.config.r,
            "lora_alpha": self.config.lora_alpha,
            "lora_dropout": 0.0,
            "use_rslora": self.config.use_rslora,
            "use_dora": self.config.use_dora,
            "bias": "none",
            "fan_in_fan_out": any(is_transposed(module) for module in self.modules.values()),
            # whole names: a last part alone would have PEFT make matrices for blocks that were left out
            "target_modules": sorted(self.modules),
        }
        named = {_peft_name(name): tensor for name, tensor in tensors.items()}
        return settings, {name: _turned(name, tensor) for name, tensor in named.items()}

    def from_peft(self, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a PEFT folder.

        Raises:
            AdapterError: it is no LoRA without bias, is DoRA where this is not or the reverse, or does not fit.
        """
        kind, dora, bias = settings.get("peft_type"), bool(settings.get("use_dora")), settings.get("bias", "none")
        if kind != "LORA" or dora != self.config.use_dora or bias != "none":
            raise AdapterError(
                f"an adapter of type {kind!r} with use_dora={dora} and bias={bias!r} cannot be used as LoRA with "
                f"use_dora={self.config.use_dora} and without bias; give the form that it was saved from."
            )
        names = {name: _peft_name(name) for name in self.layout.shapes}
        return match(self.layout, names, {name: _turned(name, tensor) for name, tensor in weights.items()})


def _peft_name(name: str) -> str:
    module, _, part = name.rpartition(".")
    return f"{PREFIX}{module}.{_PEFT_PARTS[part]}"


def _turned(name: str, tensor: Tensor) -> Tensor:
    """B of a linear module from PEFT's `(out, r)` to `(r, out)`, which is faster here, and back."""
    return tensor.T.contiguous() if name.endswith(_PEFT_PARTS["B"]) and tensor.ndim == 2 else tensor


def _shapes(module: nn.Module, r: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    weight = tuple(module.get_parameter("weight").shape)
    if is_convolution(module):
        return (r, *weight[1:]), (weight[0], r, *(1,) * (len(weight) - 2))
    n_out, n_in = reversed(weight) if is_transposed(module) else weight
    return (r, n_in), (r, n_out)


Hook = Callable[["nn.Module", "tuple[Tensor, ...]", "Tensor"], "Tensor"]


def _hook(name: str, scale: float, active: Active) -> Hook:
    from whet.adaptation.kernels import add_low_rank

    a, b = f"{name}.A", f"{name}.B"

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if active.routing is None:
            return output
        x, tensors = inputs[0], active.tensors
        if is_convolution(module):
            return output + _convolved(module, x, tensors[a], tensors[b], active.routing) * scale
        routing = active.routing.of(x.numel() // x.shape[-1])
        return add_low_rank(output, x, tensors[a], tensors[b], scale, routing)

    return add


def _convolved(module: nn.Module, x: Tensor, a: Tensor, b: Tensor, routing: Routing) -> Tensor:
    """B applied after A to each slot's inputs of `x (inputs, channels, …)`: a loop, for convolutions are costly."""
    import torch

    convolve: Any = getattr(torch.nn.functional, f"conv{x.ndim - 2}d")
    geometry: Any = module
    parts = [
        convolve(convolve(part, down, None, geometry.stride, geometry.padding, geometry.dilation, geometry.groups), up)
        for part, down, up in zip(x.split(routing.of(len(x)).rows), a, b, strict=True)
    ]
    return torch.cat(parts)
