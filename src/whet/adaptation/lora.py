"""LoRA: a low-rank change of a frozen model's matrices, attached for as long as it is needed.

    y = W x + (α / r) · B A x,   A: `(r, in)`, B: `(out, r)`, B = 0 at first

Source: Hu et al. 2021, arXiv 2106.09685, §4.1. The base weights are never written: the change is added by forward
hooks, so detaching gives the base model back bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whet.errors import AdapterError, InputError, ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from whet.models import LanguageModel

ALL_LINEAR = "all-linear"
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class LoraConfig:
    """Shape of a LoRA adapter, in PEFT's words.

    Attributes:
        r: rank, at least 1.
        lora_alpha: the change is scaled by `lora_alpha / r`.
        target_modules: last parts of the names of the modules to change (`("q_proj", "v_proj")`), or `all-linear`
            for every linear layer but the output matrix.
    """

    r: int = 8
    lora_alpha: float = 16.0
    target_modules: str | tuple[str, ...] = ALL_LINEAR

    def __post_init__(self) -> None:
        if self.r < 1:
            raise InputError(f"r={self.r}: the rank of a LoRA adapter is at least 1.")
        if not (math.isfinite(self.lora_alpha) and self.lora_alpha > 0):
            raise InputError(f"lora_alpha={self.lora_alpha}: give a positive number.")


class LoraAdapter:
    """The matrices A and B of every module that is changed, keyed by the module's name in the model.

    Args:
        config: its shape.
        pairs: `A (r, in)` and `B (out, r)` by module name.
        fan_in_fan_out: the modules store their weight as `(in, out)`, as GPT-2's do; PEFT wants to know.
    """

    def __init__(self, config: LoraConfig, pairs: dict[str, tuple[Tensor, Tensor]], *, fan_in_fan_out: bool) -> None:
        self.config = config
        self.pairs = pairs
        self.fan_in_fan_out = fan_in_fan_out

    @classmethod
    def fresh(cls, model: LanguageModel, config: LoraConfig, *, seed: int) -> LoraAdapter:
        """An adapter that changes nothing yet: A from the uniform Kaiming distribution (as in PEFT), B zero.

        Raises:
            ModelError: the model lacks the target modules; the message lists those that it has.
        """
        import torch

        modules = _targets(model, config.target_modules)
        generator = torch.Generator().manual_seed(seed)
        pairs = {}
        for name, module in modules.items():
            n_in, n_out = _features(module)
            bound = 1 / math.sqrt(n_in)
            a = (torch.rand(config.r, n_in, generator=generator) * 2 - 1) * bound
            pairs[name] = (
                a.to(model.device).requires_grad_(True),
                torch.zeros(n_out, config.r, device=model.device).requires_grad_(True),
            )
        return cls(config, pairs, fan_in_fan_out=any(_is_conv1d(m) for m in modules.values()))

    @classmethod
    def from_peft(cls, model: LanguageModel, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> LoraAdapter:
        """An adapter from the content of a PEFT folder: `adapter_config.json` and the tensors beside it.

        Raises:
            AdapterError: it is no plain LoRA adapter, or does not fit the model.
        """
        if settings.get("peft_type") != "LORA" or settings.get("use_dora") or settings.get("bias", "none") != "none":
            raise AdapterError(
                f"an adapter of type {settings.get('peft_type')!r} cannot be used; whet reads plain LoRA without bias."
            )
        modules = dict(model.module.named_modules())
        names = {key.removeprefix(_PREFIX).rsplit(".lora_", 1)[0] for key in weights}
        pairs = {}
        for name in sorted(names):
            try:
                a, b = (weights[f"{_PREFIX}{name}.lora_{side}.weight"].float() for side in "AB")
                n_in, n_out = _features(modules[name])
            except KeyError as missing:
                raise AdapterError(
                    f"the adapter does not fit the model {model.name!r}: {missing} is missing."
                ) from None
            if a.shape[1] != n_in or b.shape[0] != n_out or a.shape[0] != b.shape[1]:
                raise AdapterError(
                    f"the adapter does not fit {name} of {model.name!r}: A is {tuple(a.shape)}, B is {tuple(b.shape)}, "
                    f"the module maps {n_in} to {n_out}."
                )
            pairs[name] = (
                a.to(model.device).clone().requires_grad_(True),
                b.to(model.device).clone().requires_grad_(True),
            )
        targets = settings["target_modules"]
        config = LoraConfig(
            r=int(settings["r"]),
            lora_alpha=float(settings["lora_alpha"]),
            target_modules=targets if isinstance(targets, str) else tuple(sorted(targets)),
        )
        return cls(config, pairs, fan_in_fan_out=bool(settings.get("fan_in_fan_out", False)))

    def to_peft(self, base_model: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The content of a PEFT folder: the settings and the tensors under the names that PEFT gives them."""
        settings = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base_model,
            "r": self.config.r,
            "lora_alpha": self.config.lora_alpha,
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": self.fan_in_fan_out,
            "inference_mode": True,
            "target_modules": sorted({name.rsplit(".", 1)[-1] for name in self.pairs}),
        }
        weights = {
            f"{_PREFIX}{name}.lora_{side}.weight": tensor.detach().cpu().contiguous()
            for name, pair in self.pairs.items()
            for side, tensor in zip("AB", pair, strict=True)
        }
        return settings, weights

    @property
    def parameters(self) -> list[Tensor]:
        """All A and B, in the order of the modules."""
        return [tensor for pair in self.pairs.values() for tensor in pair]

    @contextmanager
    def attached(self, model: LanguageModel) -> Iterator[None]:
        """Within this block the model computes with the adapter; after it, with its own weights alone.

        One model carries one set of hooks, so a model may not be used by several threads meanwhile.
        """
        modules = dict(model.module.named_modules())
        scale = self.config.lora_alpha / self.config.r
        handles = [modules[name].register_forward_hook(_addition(a, b, scale)) for name, (a, b) in self.pairs.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _addition(a: Tensor, b: Tensor, scale: float) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    from torch.nn.functional import linear

    def add(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output.add(linear(linear(inputs[0], a), b), alpha=scale)

    return add


def _is_conv1d(module: nn.Module) -> bool:
    """GPT-2's linear layer, which keeps its weight transposed."""
    return type(module).__name__ == "Conv1D"


def _features(module: nn.Module) -> tuple[int, int]:
    """Sizes of what a linear module reads and writes."""
    first, second = (int(n) for n in module.get_parameter("weight").shape)
    return (first, second) if _is_conv1d(module) else (second, first)


def _targets(model: LanguageModel, wanted: str | tuple[str, ...]) -> dict[str, nn.Module]:
    from torch import nn

    output = model.module.get_output_embeddings()
    linear = {
        name: module
        for name, module in model.module.named_modules()
        if (isinstance(module, nn.Linear) or _is_conv1d(module)) and module is not output
    }
    if wanted == ALL_LINEAR:
        return linear
    names = (wanted,) if isinstance(wanted, str) else wanted
    chosen = {name: module for name, module in linear.items() if name.rsplit(".", 1)[-1] in names}
    lacking = set(names) - {name.rsplit(".", 1)[-1] for name in chosen}
    if lacking or not chosen:
        there = ", ".join(sorted({name.rsplit(".", 1)[-1] for name in linear}))
        raise ModelError(
            f"the model {model.name!r} has no linear module named {', '.join(sorted(lacking)) or '(none given)'}; "
            f"it has {there}. Give some of these as target_modules, or '{ALL_LINEAR}'."
        )
    return chosen
