from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from whet.errors import ModelError
from whet.models.grid_net import BLANK, NONE, SIZE, GridBatch, GridNet, GridNetConfig, load_grid_net, save_grid_net

CONFIG = GridNetConfig(width=32, blocks=4, heads=2, hidden=40)


def a_net(seed=0):
    torch.manual_seed(seed)
    net = GridNet(CONFIG)
    for parameter in net.parameters():  # layers that begin at zero would hide what is wrong before them
        torch.nn.init.normal_(parameter, std=0.2)
    return net.requires_grad_(False)


def a_batch(episodes=2, context=2, queries=2, seed=0):
    """Inputs of 2×3, outputs of 3×2: 8 places."""
    torch.manual_seed(seed)
    places = [(r, c) for r in range(3) for c in range(3) if r < 2 or c < 2]
    rows, columns = (torch.tensor([0, *axis]) for axis in zip(*places, strict=True))
    inputs, outputs = torch.randint(0, 10, (2, episodes, context + queries, 9))
    inputs[:, :, rows == 2], outputs[:, :, columns == 2] = NONE, NONE
    inputs[:, :, 0], outputs[:, :, 0] = SIZE, NONE
    outputs[:, context:][outputs[:, context:] != NONE] = BLANK
    return GridBatch(
        inputs=inputs,
        outputs=outputs,
        rows=rows.expand_as(inputs).clone(),
        columns=columns.expand_as(inputs).clone(),
        real=torch.ones_like(inputs, dtype=torch.bool),
        context=context,
    )


def naive(net, batch):
    """One episode at a time, one query and key at a time, by the words of the module."""
    found_cells, found_sizes = [], []
    for episode in range(len(batch.inputs)):
        pairs, length = batch.inputs.shape[1:]
        pair = torch.arange(pairs).repeat_interleave(length)
        is_query = pair >= batch.context
        real = batch.real[episode].flatten()
        x = net.inputs.weight[batch.inputs[episode].flatten()] + net.outputs.weight[batch.outputs[episode].flatten()]
        for number, block in enumerate(net.blocks):
            same = pair[:, None] == pair[None]
            sees = same if number % 2 == 0 else same | ~is_query[None]
            sees = sees & real[None]
            x = x + _attention(block, x, sees, batch.rows[episode].flatten(), batch.columns[episode].flatten())
            hidden = F.layer_norm(x, (CONFIG.width,), block.hidden_norm.weight)
            x = x + F.relu(hidden @ block.up.weight.T) ** 2 @ block.down.weight.T
        x = F.layer_norm(x, (CONFIG.width,), net.norm.weight).view(pairs, length, -1)[batch.context :]
        found_cells.append(x @ net.outputs.weight[:10].T + net.colour_bias)
        found_sizes.append(net.size_head(x[:, 0]).view(-1, 2, 30))
    return torch.stack(found_cells), torch.stack(found_sizes)


def _attention(block, x, sees, rows, columns):
    heads, width = CONFIG.heads, CONFIG.width // CONFIG.heads
    q, k, v = (F.layer_norm(x, (CONFIG.width,), block.attention_norm.weight) @ block.qkv.weight.T).chunk(3, dim=-1)
    turn = 10 ** torch.linspace(0, -1.3, width // 4)
    found = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        angles = torch.cat([rows[:, None] * turn, columns[:, None] * turn], dim=-1)
        turned = [torch.view_as_complex(torch.stack(y[:, part].chunk(2, -1), -1).contiguous()) for y in (q, k)]
        first, second = (y * torch.polar(torch.ones_like(angles), angles) for y in turned)
        product = (first[:, None] * second[None].conj()).real.sum(-1) / width**0.5
        found.append(product.masked_fill(~sees, -torch.inf).softmax(-1) @ v[:, part])
    return torch.cat(found, dim=-1) @ block.out.weight.T


def test_the_net_computes_what_its_description_says():
    net, batch = a_net(), a_batch()
    real = batch.real.clone()
    real[0, 1, 5:7] = False
    real[1, 3, -1] = False
    batch = replace(batch, real=real)
    cells, sizes = net(batch)
    expected_cells, expected_sizes = naive(net, batch)
    torch.testing.assert_close(cells[0], expected_cells[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(cells[1], expected_cells[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(sizes, expected_sizes, atol=1e-4, rtol=1e-4)


def test_without_a_context_queries_see_only_themselves():
    net, batch = a_net(), a_batch(context=0)
    torch.testing.assert_close(net(batch), naive(net, batch), atol=1e-4, rtol=1e-4)


def test_the_order_of_the_context_makes_no_difference():
    net, batch = a_net(), a_batch(context=3)
    order = torch.tensor([2, 0, 1, 3, 4])
    other = replace(batch, inputs=batch.inputs[:, order], outputs=batch.outputs[:, order])
    torch.testing.assert_close(net(batch), net(other), atol=1e-5, rtol=1e-5)


def test_queries_do_not_see_each_other():
    net, batch = a_net(), a_batch()
    inputs = batch.inputs.clone()
    inputs[:, -1, 1:5] = 3
    cells, sizes = net(batch)
    others, other_sizes = net(replace(batch, inputs=inputs))
    torch.testing.assert_close(cells[:, 0], others[:, 0])
    torch.testing.assert_close(sizes[:, 0], other_sizes[:, 0])
    assert not torch.allclose(cells[:, 1], others[:, 1])


def test_what_fills_up_changes_nothing():
    net, batch = a_net(), a_batch()

    def filled(x, value):
        grown = torch.full((3, 5, 12), value)
        grown[:2, :2, :9], grown[:2, 3:, :9] = x[:, :2], x[:, 2:]
        return grown

    larger = GridBatch(
        inputs=filled(batch.inputs, 5),
        outputs=filled(batch.outputs, 6),
        rows=filled(batch.rows, 7),
        columns=filled(batch.columns, 7),
        real=filled(batch.real, False),
        context=3,
    )
    cells, sizes = net(batch)
    more_cells, more_sizes = net(larger)
    torch.testing.assert_close(more_cells[:2, :, :9], cells, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(more_sizes[:2], sizes, atol=1e-5, rtol=1e-5)
    assert more_cells.isfinite().all()


def test_only_distances_between_cells_count():
    net, batch = a_net(), a_batch()
    moved = replace(batch, rows=batch.rows + 5, columns=batch.columns + 2)
    torch.testing.assert_close(net(batch), net(moved), atol=1e-3, rtol=1e-3)


def test_a_net_comes_back_from_its_file(tmp_path):
    net, batch = a_net(), a_batch()
    save_grid_net(net, tmp_path / "folder" / "net.safetensors")
    again = load_grid_net(tmp_path / "folder" / "net.safetensors")
    assert again.config == CONFIG
    assert all(torch.equal(a, b) for a, b in zip(net(batch), again(batch), strict=True))
    assert not any(parameter.requires_grad for parameter in again.parameters())


@pytest.mark.parametrize("content", [None, b"no tensors"])
def test_what_is_no_net_is_refused_by_name(tmp_path, content):
    path = tmp_path / "net.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"net\.safetensors"):
        load_grid_net(path)


def test_with_products_in_bfloat16_the_net_says_nearly_the_same() -> None:
    net, batch = a_net(), a_batch()
    cells, sizes = net(batch)
    with torch.autocast("cpu", torch.bfloat16):
        low_cells, low_sizes = net(batch)
    assert low_cells.dtype == low_sizes.dtype == torch.float32
    for low, full in ((low_cells, cells), (low_sizes, sizes)):
        assert not torch.equal(low, full)
        torch.testing.assert_close(low, full, rtol=0, atol=0.03 * float(full.abs().max()))
