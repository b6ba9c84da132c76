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
from typing import TYPE_CHECKING, Any

from whet.adaptation.forms.base import Active
from whet.adaptation.layout import Layout
from whet.adaptation.targets import ALL_LINEAR, Layers, find_targets, is_convolution, is_transposed, last_blocks
from whet.errors import AdapterError, InputError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from whet.adaptation.routing import Routing

_PREFIX = "base_model.model."


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
    """

    r: int = 8
    lora_alpha: float = 16.0
    target_modules: str | tuple[str, ...] = ALL_LINEAR
    layers: Layers = None
    use_rslora: bool = False

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
            InputError: the rank is above the size of one of them, or `layers` above the number of blocks.
        """
        modules = find_targets(module, self.target_modules, self.layers)
        first = 0 if self.layers is None else last_blocks(module, self.layers)[0]
        return BoundLora(self, modules, first)


class BoundLora:
    """LoRA on the named modules of a model."""

    virtual = 0

    def __init__(self, config: LoraConfig, modules: Mapping[str, nn.Module], first_block: int) -> None:
        self.config = config
        self.first_block = first_block
        self.modules = dict(modules)
        shapes: dict[str, tuple[int, ...]] = {}
        for name, module in self.modules.items():
            a, b = _shapes(module, config.r)
            n_in, n_out = math.prod(a[1:]), b[0] if is_convolution(module) else b[1]
            if config.r > min(n_in, n_out):
                raise InputError(
                    f"r={config.r} is above the size of {name}, which maps {n_in} to {n_out}; "
                    "give a smaller rank, or leave that module out of target_modules."
                )
            shapes |= {f"{name}.A": a, f"{name}.B": b}
        self.layout = Layout(shapes)

    def fresh(self, generator: Generator) -> dict[str, Tensor]:
        """A from the uniform Kaiming distribution (as in PEFT), B zero."""
        import torch

        tensors = {}
        for name, shape in self.layout.shapes.items():
            if name.endswith(".A"):
                bound = 1 / math.sqrt(math.prod(shape[1:]))
                tensors[name] = (torch.rand(shape, generator=generator) * 2 - 1) * bound
            else:
                tensors[name] = torch.zeros(shape)
        return tensors

    @contextmanager
    def hooked(self, active: Active) -> Iterator[None]:
        """Add the change to what the modules compute, while the block lasts."""
        with ExitStack() as stack:
            for name, module in self.modules.items():
                hook = _hook(name, self.config.scale, active)
                stack.callback(module.register_forward_hook(hook).remove)
            yield

    def to_peft(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings and tensors as PEFT's LoRA has them."""
        settings = {
            "peft_type": "LORA",
            "r": self.config.r,
            "lora_alpha": self.config.lora_alpha,
            "lora_dropout": 0.0,
            "use_rslora": self.config.use_rslora,
            "bias": "none",
            "fan_in_fan_out": any(is_transposed(module) for module in self.modules.values()),
            # whole names: a last part alone would have PEFT make matrices for blocks that were left out
            "target_modules": sorted(self.modules),
        }
        return settings, {_peft_name(name): _turned(name, tensor) for name, tensor in tensors.items()}

    def from_peft(self, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a PEFT folder.

        Raises:
            AdapterError: it is no plain LoRA, or does not fit.
        """
        if settings.get("peft_type") != "LORA" or settings.get("use_dora") or settings.get("bias", "none") != "none":
            raise AdapterError(
                f"an adapter of type {settings.get('peft_type')!r} cannot be used as plain LoRA without bias; "
                "give the form that it was saved from."
            )
        tensors = {}
        for name, shape in self.layout.shapes.items():
            found = weights.get(_peft_name(name))
            if found is not None:
                found = _turned(name, found)
            if found is None or tuple(found.shape) != shape:
                has = "is missing" if found is None else f"is {tuple(found.shape)} in the file"
                raise AdapterError(f"the adapter does not fit the model: {name}, which is {shape} here, {has}.")
            tensors[name] = found
        if len(tensors) != len(weights):
            more = sorted(set(weights) - {_peft_name(name) for name in tensors})[0]
            raise AdapterError(f"the adapter does not fit the model: {more} belongs to none of its target modules.")
        return tensors


def _peft_name(name: str) -> str:
    module, _, side = name.rpartition(".")
    return f"{_PREFIX}{module}.lora_{side}.weight"


def _turned(name: str, tensor: Tensor) -> Tensor:
    """B of a linear module from PEFT's `(out, r)` to `(r, out)`, which is faster here, and back."""
    return tensor.T.contiguous() if name.endswith(".B") and tensor.ndim == 2 else tensor


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
