"""The forms of adapters that are compared, and the rates that are tried for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from whet.adaptation import BiasNormConfig, FullConfig, LoraConfig, PrefixConfig, PromptConfig, VectorConfig
from whet.adaptation.forms import Form

_TRIED: Mapping[str, tuple[Callable[[], Form], tuple[float, ...]]] = {
    "lora, all layers": (LoraConfig, (1e-3, 2e-3, 3e-3, 6e-3, 1.2e-2)),
    "lora, all layers, bfloat16": (LoraConfig, (1e-3, 2e-3, 3e-3, 6e-3, 1.2e-2)),
    "lora, half of the layers": (lambda: LoraConfig(layers=0.5), (3e-3, 6e-3, 1.2e-2)),
    "lora, a quarter of the layers": (lambda: LoraConfig(layers=0.25), (3e-3, 6e-3, 1.2e-2)),
    "lora, the last layer": (lambda: LoraConfig(layers=1), (3e-3, 6e-3, 1.2e-2)),
    "lora, rank 2": (lambda: LoraConfig(r=2, lora_alpha=4), (3e-3, 6e-3, 1.2e-2)),
    "lora, rank 32": (lambda: LoraConfig(r=32, lora_alpha=64), (1e-3, 3e-3, 6e-3)),
    "lora, queries and values": (lambda: LoraConfig(target_modules=("q_proj", "v_proj")), (3e-3, 6e-3, 1.2e-2)),
    "rslora": (lambda: LoraConfig(use_rslora=True), (1e-3, 3e-3)),
    "dora": (lambda: LoraConfig(use_dora=True), (3e-3, 6e-3)),
    "norms": (BiasNormConfig, (3e-3, 1e-2, 3e-2)),
    "prompt of 20": (lambda: PromptConfig(num_virtual_tokens=20), (1e-2, 3e-2, 1e-1)),
    "prefix of 20": (lambda: PrefixConfig(num_virtual_tokens=20), (1e-2, 3e-2, 1e-1)),
    "vector": (VectorConfig, (1e-2, 3e-2, 1e-1, 3e-1)),
    "full": (FullConfig, (1e-4, 3e-4, 1e-3)),
}

FORMS: Mapping[str, Callable[[], Form]] = {name: form for name, (form, _) in _TRIED.items()}
PRECISIONS: Mapping[str, str] = {name: "bfloat16" if name.endswith("bfloat16") else "float32" for name in FORMS}
RATES: Mapping[str, tuple[float, ...]] = {name: rates for name, (_, rates) in _TRIED.items()}
