"""Bias and norm tuning: other biases, and other weights of the norms, than those of the frozen model.

    y = w ⊙ n(x) + b,   each slot with its own w and b of a norm, or its own b of a linear module

with n the normalisation alone. Source: Ben Zaken et al. 2022, arXiv 2106.10199 (BitFit) for biases, Zhao et al. 2023,
arXiv 2312.11420 for norms. Of each row the output of the frozen module is kept, and what its slot's w and b add to it
is added; so n(x) is computed again, as it cannot be had from the output where w = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import mul
from typing import TYPE_CHECKING, Any

from whet.adaptation.forms.base import Active
from whet.adaptation.forms.files import PREFIX, match
from whet.adaptation.forms.swap import swapped
from whet.adaptation.layout import Layout
from whet.adaptation.targets import Layers, find_within, is_adaptable, is_convolution, last_blocks, output_matrix
from whet.errors import AdapterError, InputError, ModelError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from whet.adaptation.routing import Routing

_KIND, _PEFT_KIND = "WHET_BIAS_NORM", "LN_TUNING"


@dataclass(frozen=True)
class BiasNormConfig:
    """Which biases and norms are learnt; at least one of both.

    Attributes:
        biases: learn the bias of each linear module, convolution and norm that has one.
        norms: learn the weight of each norm over the last dimension (LayerNorm, RMSNorm), and its bias if it has one.
        target_modules: learn those in modules of these names only (`("mlp",)`); None for the whole model. The output
            matrix is left as it is.
        layers: learn those in the last so many of the model's blocks only, or with a number below 1 in that share.
    """

    biases: bool = True
    norms: bool = True
    target_modules: str | tuple[str, ...] | None = None
    layers: Layers = None

    def __post_init__(self) -> None:
        if not (self.biases or self.norms):
            raise InputError("biases=False, norms=False: nothing is left to learn; turn one of them on.")

    def bind(self, module: nn.Module) -> BoundBiasNorm:
        """Fit to a model.

        Raises:
            ModelError: the model has nothing of what is asked for, or a norm that is not w ⊙ n(x) + b.
            InputError: `layers` is above the number of blocks.
        """
        output = output_matrix(module)
        learnt: dict[str, tuple[str, ...]] = {}
        there = find_within(module, self.target_modules, self.layers)
        for name, part in there.items():
            has = [own for own in ("weight", "bias") if part._parameters.get(own) is not None]
            if part is not output and _is_norm(part):
                learnt[name] = tuple(own for own in has if self.norms or own == "bias")
            elif part is not output and is_adaptable(part) and self.biases:
                learnt[name] = tuple(own for own in has if own == "bias")
        learnt = {name: own for name, own in learnt.items() if own}
        if not learnt:
            raise ModelError(
                f"{type(module).__name__} has nothing to learn with biases={self.biases}, norms={self.norms}, "
                f"target_modules={self.target_modules} and layers={self.layers}; ask for more of it."
            )
        first = 0 if self.layers is None else last_blocks(module, self.layers)[0]
        return BoundBiasNorm(self, {name: there[name] for name in learnt}, learnt, first)


class BoundBiasNorm:
    """Biases and norms of the named modules of a model.

    Args:
        config: as it was given.
        modules: by name.
        learnt: which of `weight` and `bias` each has for every slot.
        first_block: of the first that has a module.

    Raises:
        ModelError: a norm is not w ⊙ n(x) + b.
    """

    alone = False

    def __init__(
        self,
        config: BiasNormConfig,
        modules: Mapping[str, nn.Module],
        learnt: Mapping[str, tuple[str, ...]],
        first_block: int,
    ) -> None:
        self.config = config
        self.first_block = first_block
        self.modules = dict(modules)
        self._base = {_join(name, own): (module, own) for name, module in self.modules.items() for own in learnt[name]}
        self._units = {name: _unit(name, self.modules[name]) for name in learnt if "weight" in learnt[name]}
        self.layout = Layout(
            {name: tuple(module.get_parameter(own).shape) for name, (module, own) in self._base.items()}
        )

    def fresh(self, generator: Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """Those of the frozen model, whatever the seed."""
        return {name: module.get_parameter(own).detach() for name, (module, own) in self._base.items()}

    @contextmanager
    def hooked(self, active: Active) -> Iterator[None]:
        """Add to what the modules compute, while the block lasts."""
        with ExitStack() as stack:
            for name, module in self.modules.items():
                hook = _hook(name, self._units.get(name), active)
                stack.callback(module.register_forward_hook(hook, with_kwargs=True).remove)
            yield

    def to_peft(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings and tensors: those of PEFT's LN tuning where only norms are learnt, as it has no form for biases."""
        settings = {"peft_type": self._kind, "target_modules": sorted(self.modules)}
        return settings, {self._names[name]: tensor for name, tensor in tensors.items()}

    def from_peft(self, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The reverse of `to_peft`.

        Raises:
            AdapterError: it is of another form, or does not fit the model.
        """
        if settings.get("peft_type") != self._kind:
            raise AdapterError(
                f"an adapter of type {settings.get('peft_type')!r} cannot be used with biases={self.config.biases} and "
                f"norms={self.config.norms}, which is {self._kind}; give the form that it was saved from."
            )
        return match(self.layout, self._names, weights)

    @property
    def _kind(self) -> str:
        return _KIND if self.config.biases else _PEFT_KIND

    @property
    def _names(self) -> dict[str, str]:
        """Names in a file, by those here: the parameters' own, or PEFT's."""
        if self._kind == _KIND:
            return {name: name for name in self._base}
        return {
            name: f"{PREFIX}{name.removesuffix(own)}ln_tuning_layers.{own}" for name, (_, own) in self._base.items()
        }


Hook = Callable[["nn.Module", "tuple[Any, ...]", "dict[str, Any]", "Tensor"], "Tensor"]


def _hook(name: str, unit: float | None, active: Active) -> Hook:
    from whet.adaptation.kernels import slot_affine

    def change(module: nn.Module, args: tuple[Any, ...], given: dict[str, Any], output: Tensor) -> Tensor:
        if active.routing is None:
            return output
        more: dict[str, Tensor] = {
            own: active.tensors[_join(name, own)] - module.get_parameter(own).detach()
            for own in ("weight", "bias")
            if _join(name, own) in active.tensors
        }
        channels = 1 if is_convolution(module) else -1
        rows = output.movedim(channels, -1)
        routing = _routing(name, active.routing, rows.shape)
        if unit is None:
            return slot_affine(rows, None, more["bias"], routing).movedim(-1, channels)
        return output + slot_affine(_normalised(module, unit, args, given), more["weight"], more.get("bias"), routing)

    return change


def _routing(name: str, routing: Routing, shape: tuple[int, ...]) -> Routing:
    """The routing of the rows of a tensor whose last dimension is that of the weights.

    Raises:
        InputError: the rows of a slot do not lie together, as where the heads come before the tokens.
    """
    if shape[0] % routing.total and routing.total not in accumulate(shape[:-1], mul):
        raise InputError(
            f"{name} reads a tensor of shape {tuple(shape)}, in which {routing.total} rows of the batch cannot be told "
            "apart; leave that module out with target_modules."
        )
    return routing.of(prod(shape[:-1]))


def _normalised(module: nn.Module, unit: float, args: tuple[Any, ...], given: dict[str, Any]) -> Tensor:
    """n(x): what the norm computes with weights that leave things as they are."""
    import torch

    plain = {"weight": torch.full_like(module.get_parameter("weight"), unit)}
    if module._parameters.get("bias") is not None:
        plain["bias"] = torch.zeros_like(module.get_parameter("bias"))
    with swapped(module, plain):
        found: Tensor = module.forward(*args, **given)
    return found


def _unit(name: str, module: nn.Module) -> float:
    """The weight with which a norm only normalises: 1, or 0 where the module itself adds 1 to its weight (Gemma).

    Found by what the norm makes of two rows.

    Raises:
        ModelError: it is neither.
    """
    import torch

    weight = module.get_parameter("weight")
    x = torch.linspace(-1, 2, 2 * weight.numel(), dtype=weight.dtype, device=weight.device).view(2, -1)
    with torch.no_grad():
        found = [_normalised(module, value, (x,), {}) for value in (0.0, 1.0, 2.0)]
    for unit in (0, 1):
        if torch.allclose(found[unit + 1], 2 * found[unit], rtol=1e-3, atol=1e-5) and found[unit].any():
            return float(unit)
    raise ModelError(
        f"{name}, a {type(module).__name__}, does not multiply what it has normalised by its weight, so its weight "
        "cannot be learnt; leave that module out with target_modules."
    )


def _is_norm(module: nn.Module) -> bool:
    """Whether it is a norm over the last dimension with a weight of that size."""
    from torch import nn

    weight = module._parameters.get("weight")
    over_channels = nn.modules.batchnorm._NormBase | nn.GroupNorm
    named = "norm" in type(module).__name__.lower() and not isinstance(module, over_channels)
    return named and weight is not None and weight.ndim == 1


def _join(name: str, own: str) -> str:
    return f"{name}.{own}" if name else own
