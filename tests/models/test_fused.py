"""Parts written by hand against the modules whose place they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaMLP, LlamaRMSNorm, apply_rotary_pos_emb

from whet.models import LanguageModel, sweeps
from whet.models.fused import Rotary, find_fused, read_by, using_forwards
from whet.models.packing import Reader
from whet.models.prefix import replaced_forward


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_norm_and_its_gradient_equal_the_module() -> None:
    norm = LlamaRMSNorm(6, eps=0.1).requires_grad_(False)
    norm.weight.copy_(random(6, seed=0))
    one, two = (random(2, 3, 6, seed=1).requires_grad_() for _ in range(2))
    plain = norm(two)
    with using_forwards(find_fused(torch.nn.Sequential(norm))):
        ours = norm(one)
    torch.testing.assert_close(ours, plain)
    ours.backward(random(2, 3, 6, seed=2))
    plain.backward(random(2, 3, 6, seed=2))
    torch.testing.assert_close(one.grad, two.grad)


def test_a_norm_that_is_learnt_gets_its_gradient() -> None:
    norm = LlamaRMSNorm(6)
    with using_forwards(find_fused(torch.nn.Sequential(norm))):
        norm(random(3, 6, seed=1)).square().sum().backward()
    assert norm.weight.grad is not None


def block_and_inputs() -> tuple[LlamaDecoderLayer, dict[str, Any]]:
    """A block with weights that are not learnt but one, and what else it reads."""
    config = LlamaConfig(
        hidden_size=8, intermediate_size=12, num_attention_heads=2, attn_implementation="eager", rms_norm_eps=0.1
    )
    torch.manual_seed(0)
    block = LlamaDecoderLayer(config, 0).requires_grad_(False)
    block.mlp.up_proj.weight.requires_grad_()
    for norm in (block.input_layernorm, block.post_attention_layernorm):
        norm.weight.copy_(random(8, seed=3))
    angles = random(1, 5, 4, seed=4)
    config.whet_lengths = (5,)
    return block, {"position_embeddings": (angles.cos(), angles.sin()), "attention_mask": torch.zeros(1, 1, 5, 5)}


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("looked_at", [True, False])
def test_a_block_and_its_gradient_equal_the_module(
    compiled: bool, looked_at: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(sweeps, "numba_is_there", lambda: False)
    block, others = block_and_inputs()
    one, two = (random(1, 5, 8, seed=1).requires_grad_() for _ in range(2))
    plain = block(two, **others)
    plain.backward(random(1, 5, 8, seed=2))
    learnt, block.mlp.up_proj.weight.grad = block.mlp.up_proj.weight.grad, None
    seen: list[torch.Tensor] = []
    if looked_at:
        block.post_attention_layernorm.register_forward_hook(lambda _, __, output: seen.append(output))
    with using_forwards(find_fused(block)):
        ours = block(one, **others)
    ours.backward(random(1, 5, 8, seed=2))
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(one.grad, two.grad)
    torch.testing.assert_close(block.mlp.up_proj.weight.grad, learnt)
    assert len(seen) == looked_at


def test_what_has_taken_a_forwards_place_keeps_it() -> None:
    block, others = block_and_inputs()
    x = random(1, 5, 8, seed=1)
    with replaced_forward(block, lambda hidden_states, **_: hidden_states), using_forwards(find_fused(block)):
        assert torch.equal(block(x, **others), x)
    assert not torch.equal(block(x, **others), x)


@pytest.mark.parametrize("compiled", [True, False])
def test_gated_layers_and_their_gradient_equal_the_module(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiled:
        monkeypatch.setattr(sweeps, "numba_is_there", lambda: False)
    config = LlamaConfig(hidden_size=6, intermediate_size=10, num_attention_heads=1)
    module = LlamaMLP(config)
    one, two = (random(2, 3, 6, seed=1).requires_grad_() for _ in range(2))
    plain = module(two)
    with using_forwards(find_fused(torch.nn.Sequential(module))):
        ours = module(one)
    torch.testing.assert_close(ours, plain)
    ours.backward(random(2, 3, 6, seed=2))
    plain.backward(random(2, 3, 6, seed=2))
    torch.testing.assert_close(one.grad, two.grad)


class Together:
    """A forward that would answer for several layers."""

    def __init__(self, forward: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.forward = forward
        self.together = lambda *_: "together"

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(x)


def test_layers_that_are_looked_at_are_called_one_by_one() -> None:
    layers, seen, x = [torch.nn.Linear(2, 3), torch.nn.Linear(2, 1)], [], random(4, 2, seed=0)
    layers[0].forward = Together(layers[0].forward)
    assert read_by(layers, x) == "together"
    handle = layers[1].register_forward_hook(lambda *_: seen.append(True))
    assert [y.shape for y in read_by(layers, x)] == [(4, 3), (4, 1)]
    handle.remove()
    assert seen == [True]


def test_rotary_positions_and_their_gradient_equal_those_of_transformers() -> None:
    angles = random(5, 4, seed=0).repeat(1, 2)
    cos, sin = angles.cos(), angles.sin()
    one, two = (random(5, 3, 8, seed=1).requires_grad_() for _ in range(2))
    ours = Rotary.apply(one, cos[:, None], sin[:, None])
    turned = two.transpose(0, 1)[None]
    plain = apply_rotary_pos_emb(turned, turned, cos[None], sin[None])[0][0].transpose(0, 1)
    torch.testing.assert_close(ours, plain)
    ours.backward(random(5, 3, 8, seed=2))
    plain.backward(random(5, 3, 8, seed=2))
    torch.testing.assert_close(one.grad, two.grad)


def test_a_pass_and_its_gradient_are_those_of_the_model(tiny_model: LanguageModel) -> None:
    """The gradient with respect to the embeddings goes through everything."""
    reader, rows = Reader(tiny_model), [[0, 5, 6, 7], [0, 9, 8, 3]]
    embedding = tiny_model.module.get_input_embeddings()
    handle = embedding.register_forward_hook(lambda _, __, output: leaves.append(output.requires_grad_()) or output)
    leaves: list[torch.Tensor] = []
    try:
        packed = reader.hidden(reader.batch(rows))  # whether it packs has been tried by now
        leaves.clear()
        packed = reader.hidden(reader.batch(rows))
        packed.square().sum().backward()
        plain = reader.backbone(torch.tensor(rows), use_cache=False).last_hidden_state
        plain.square().sum().backward()
    finally:
        handle.remove()
    torch.testing.assert_close(packed, plain.flatten(0, 1), atol=1e-5, rtol=1e-4)
    one, two = (leaf.grad for leaf in leaves)
    torch.testing.assert_close(one[0], two.flatten(0, 1), atol=1e-4, rtol=1e-3)
