"""Merged adapters against the dense sum of what their parts add, and against PEFT."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from whet.errors import AdapterError, InputError
from whet.memory import compress_lora, merge_lora, merge_weights
from whet.models import LanguageModel

Adapter = tuple[dict[str, Any], dict[str, torch.Tensor]]

SHAPES = {"base_model.model.one.q_proj": (5, 7), "base_model.model.two.v_proj": (6, 4)}
"""Outputs and inputs of two modules."""

A, B = ".lora_A.weight", ".lora_B.weight"


def settings(r: int, alpha: float, **more: Any) -> dict[str, Any]:
    return {"peft_type": "LORA", "r": r, "lora_alpha": alpha, "target_modules": ["q_proj", "v_proj"], **more}


def make(seed: int, r: int = 2, alpha: float = 4.0, dtype: torch.dtype = torch.float32, **more: Any) -> Adapter:
    draw = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, (n_out, n_in) in SHAPES.items():
        tensors[name + A] = torch.randn(r, n_in, generator=draw).to(dtype)
        tensors[name + B] = torch.randn(n_out, r, generator=draw).to(dtype)
    return settings(r, alpha, **more), tensors


def change(adapter: Adapter, name: str) -> torch.Tensor:
    """What an adapter adds to the matrix of a module, in float64."""
    shape, tensors = adapter
    scale = shape["lora_alpha"] / (math.sqrt(shape["r"]) if shape.get("use_rslora") else shape["r"])
    return scale * tensors[name + B].double() @ tensors[name + A].double()


def close(found: torch.Tensor, expected: torch.Tensor, relative: float = 1e-6) -> bool:
    return bool(torch.linalg.norm(found - expected) <= relative * max(1.0, float(torch.linalg.norm(expected))))


parts = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.floats(0.5, 32),
        st.booleans(),
        st.floats(-1, 1).map(lambda w: 0.0 if abs(w) < 0.01 else w),
    ),
    min_size=1,
    max_size=5,
).filter(lambda drawn: any(weight for *_, weight in drawn))


@given(parts, st.integers(0, 1000))
def test_merged_equals_the_dense_sum(drawn: list[tuple[int, float, bool, float]], seed: int) -> None:
    adapters = [make(seed + k, r, alpha, use_rslora=rs) for k, (r, alpha, rs, _) in enumerate(drawn)]
    weights = [weight for *_, weight in drawn]
    merged = merge_lora(adapters, weights)
    assert merged[0]["r"] == sum(r for r, *_, weight in drawn if weight)
    for name in SHAPES:
        dense = sum(weight * change(adapter, name) for adapter, weight in zip(adapters, weights, strict=True))
        size = sum(abs(w) * torch.linalg.norm(change(a, name)) for a, w in zip(adapters, weights, strict=True))
        assert torch.linalg.norm(change(merged, name) - dense) <= 1e-6 * size


@given(st.integers(1, 8), st.integers(0, 1000))
def test_compressed_is_the_nearest_of_its_rank_and_its_error_is_true(rank: int, seed: int) -> None:
    merged = merge_lora([make(seed), make(seed + 1), make(seed + 2)], [0.5, 0.3, 0.2])
    small_settings, small, error = compress_lora(*merged, rank=rank)
    assert small_settings["r"] == min(rank, 6)
    wrong = whole = 0.0
    for name in SHAPES:
        dense = change(merged, name)
        u, values, v = torch.linalg.svd(dense, full_matrices=False)
        values[rank:] = 0
        best = u * values @ v
        assert close(change((small_settings, small), name), best, 1e-5)
        assert small[name + A].shape == (min(rank, 6), dense.shape[1])
        wrong += float(torch.linalg.norm(change((small_settings, small), name) - dense)) ** 2
        whole += float(torch.linalg.norm(dense)) ** 2
    assert error == pytest.approx(math.sqrt(wrong / whole), abs=1e-5)


def test_adapters_of_one_shape_give_that_shape_again_when_compressed() -> None:
    shape, tensors, _ = compress_lora(*merge_lora([make(0), make(1)], [0.5, 0.5]), rank=2)
    assert shape == {**make(0)[0], "use_rslora": False}
    assert {name: t.shape for name, t in tensors.items()} == {name: t.shape for name, t in make(0)[1].items()}


def test_a_change_of_zero_costs_no_error() -> None:
    shape, tensors = make(0)
    zero = {name: tensor * (0 if name.endswith(B) else 1) for name, tensor in tensors.items()}
    assert compress_lora(shape, zero, rank=1)[2] == 0.0


def test_half_precision_is_merged_in_single_precision_and_double_kept() -> None:
    _, merged = merge_lora([make(0, dtype=torch.bfloat16), make(1, dtype=torch.bfloat16)], [0.3, 0.7])
    assert {tensor.dtype for tensor in merged.values()} == {torch.float32}
    _, merged = merge_lora([make(0, dtype=torch.float64), make(1)], [0.3, 0.7])
    assert {tensor.dtype for tensor in merged.values()} == {torch.float64}


def lora_of(model: LanguageModel, seed: int, r: int, **more: Any) -> Adapter:
    """An adapter as PEFT writes it, with B that is not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = peft.LoraConfig(
            r=r, lora_alpha=8, target_modules=["q_proj", "down_proj"], init_lora_weights=False, **more
        )
        wrapped = peft.get_peft_model(model.module, config)
        tensors = {name: tensor.clone() for name, tensor in peft.get_peft_model_state_dict(wrapped).items()}
        wrapped.unload()
        model.module.requires_grad_(False)
    as_json = {key: value for key, value in config.to_dict().items() if not isinstance(value, set)}
    return json.loads(json.dumps({**as_json, "target_modules": ["q_proj", "down_proj"]})), tensors


def logits(module: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return module(torch.arange(20)[None]).logits.clone()


def test_peft_computes_with_a_merged_adapter_as_with_the_dense_sum(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    adapters = [lora_of(tiny_llama, 1, 2), lora_of(tiny_llama, 2, 3, use_rslora=True), lora_of(tiny_llama, 3, 2)]
    weights = merge_weights([0.9, 0.85, 0.8])
    module = tiny_llama.module
    base, before = logits(module), {name: tensor.clone() for name, tensor in module.state_dict().items()}

    merged_settings, merged = merge_lora(adapters, weights)
    (tmp_path / "adapter_config.json").write_text(json.dumps(merged_settings))
    save_file(merged, tmp_path / "adapter_model.safetensors")
    wrapped = peft.PeftModel.from_pretrained(module, tmp_path)
    with_merged = logits(wrapped)
    wrapped.unload()
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())

    with torch.no_grad():
        for key in adapters[0][1]:
            if key.endswith(A):
                name = key.removesuffix(A)
                dense = sum(w * change(adapter, name) for adapter, w in zip(adapters, weights.tolist(), strict=True))
                module.get_submodule(name.removeprefix("base_model.model.")).weight += dense.float()
        with_dense = logits(module)
        module.load_state_dict(before)
    torch.testing.assert_close(with_merged, with_dense, atol=2e-5, rtol=1e-4)
    assert not torch.allclose(with_merged, base, atol=1e-2)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"r": 3}, "rank 3"),
        ({"lora_alpha": 0}, "lora_alpha=0"),
    ],
)
def test_what_is_no_plain_lora_is_refused(more: dict[str, Any], named: str) -> None:
    shape, tensors = make(1)
    with pytest.raises(AdapterError, match=named):
        merge_lora([make(0), ({**shape, **more}, tensors)], [0.5, 0.5])
    with pytest.raises(AdapterError, match=named):
        compress_lora({**shape, **more}, tensors, rank=1)


def test_adapters_that_change_different_matrices_are_refused() -> None:
    shape, tensors = make(1)
    name = next(iter(SHAPES))
    one = {key: tensor for key, tensor in tensors.items() if key.startswith(name)}
    with pytest.raises(AdapterError, match=r"different matrices.*Merge adapters of one recipe"):
        merge_lora([make(0), (shape, one)], [0.5, 0.5])
    with pytest.raises(AdapterError, match="different models"):
        merge_lora([make(0), (shape, {**tensors, name + A: torch.ones(2, 9)})], [0.5, 0.5])
    with pytest.raises(AdapterError, match="magnitude"):
        merge_lora([(shape, {**tensors, name + ".lora_magnitude_vector": torch.ones(2)})], [1.0])


@pytest.mark.parametrize("weights", [[1.0], [math.nan, 1.0], [0.0, 0.0]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(InputError, match="weights="):
        merge_lora([make(0), make(1)], weights)


def test_a_rank_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="rank=0"):
        compress_lora(*make(0), rank=0)


def naive_weights(cosines: list[float], beta: float, tau: float, most: int) -> list[float]:
    kernel = [math.exp(-(1 - cosine) / beta**2) for cosine in cosines]
    shares = [value / sum(kernel) for value in kernel]
    kept = [k for k in sorted(range(len(shares)), key=lambda k: -shares[k])[:most] if shares[k] > tau]
    total = sum(shares[k] for k in kept)
    return [shares[k] / total if k in kept else 0.0 for k in range(len(shares))]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12), st.floats(0.1, 2), st.floats(0, 0.3), st.integers(1, 12))
def test_weights_are_those_of_the_rule_one_by_one(cosines: list[float], beta: float, tau: float, most: int) -> None:
    found = merge_weights(cosines, beta=beta, tau=tau, most=most)
    np.testing.assert_allclose(found, naive_weights(cosines, beta, tau, most), rtol=1e-9, atol=1e-12)


def test_near_adapters_count_most_and_far_ones_not_at_all() -> None:
    weights = merge_weights([0.95, 0.9, 0.7])
    assert weights[0] / weights[1] == pytest.approx(math.exp(0.05 / 0.2**2))
    assert weights[2] == 0
    assert weights.sum() == pytest.approx(1)
    assert merge_weights([-1.0], beta=0.001).tolist() == [1.0]


def test_no_more_than_the_most_are_merged_and_none_when_all_count_little() -> None:
    assert np.count_nonzero(merge_weights(np.full(60, 0.9))) == 50
    assert not merge_weights(np.full(200, 0.9)).any()


@pytest.mark.parametrize("wrong", [{"beta": 0.0}, {"tau": 1.0}, {"most": 0}, {"cosines": []}, {"cosines": [math.nan]}])
def test_arguments_of_the_rule_that_are_no_use_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        merge_weights(**{"cosines": [0.5], **wrong})
