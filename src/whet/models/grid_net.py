"""A small transformer that answers a grid task in one pass.

It sees whole episodes: pairs of grids that show a rule, and queries, which are pairs whose output is a blank canvas.
The two grids of a pair lie on each other, first cell on first cell: a token is a place, with the colour that the input
has there and the one that the output has, or that a grid does not reach so far. One token a pair stands for the size of
its output. Blocks take turns: in one each pair attends to itself alone, in the next the pairs of the context attend to
each other, and each query to the context and to itself. So the order of the pairs makes no difference, and neither do
other queries.

Positions are rotary in two dimensions, row and column (Su et al. 2021, arXiv 2104.09864, applied along each axis), so
what counts is how far apart two cells are. The size of an output is asked for by a query without a canvas.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from whet.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    _Two = tuple[Tensor, Tensor]

COLOURS = 10
NONE = 10
"""In place of a colour, where a grid has no cell."""
BLANK = 11
"""In place of an output's colour: the cell of a canvas."""
SIZE = 11
"""In place of an input's colour: the token before the cells of a pair."""
MAX_SIDE = 30
_PREFIX = "net."
_NEVER = -1e9  # finite, for a query that may attend to nothing should not make NaN


@dataclass(frozen=True)
class GridNetConfig:
    """Shape of a net: width of a token, number of blocks, of heads, and the width of a block's hidden layer."""

    width: int = 128
    blocks: int = 8
    heads: int = 4
    hidden: int = 384


@dataclass(frozen=True)
class GridBatch:
    """Episodes of equally many pairs and equally many queries, laid out as the net reads them.

    Attributes:
        inputs: `(episodes, pairs, places)`, int64: the input's colours, `NONE`, or `SIZE` for the first token of a
            pair. The pairs of the context come first, then the queries.
        outputs: likewise the output's colours, `NONE` or `BLANK`.
        rows: of each token, its row.
        columns: likewise.
        real: which tokens are there; the others fill up.
        context: how many of the pairs are context.
    """

    inputs: Tensor
    outputs: Tensor
    rows: Tensor
    columns: Tensor
    real: Tensor
    context: int

    @property
    def queries(self) -> int:
        """How many of the pairs are queries."""
        return self.inputs.shape[1] - self.context


class GridNet(nn.Module):
    """See the module."""

    def __init__(self, config: GridNetConfig) -> None:
        super().__init__()
        self.config = config
        self.inputs = nn.Embedding(COLOURS + 2, config.width)
        self.outputs = nn.Embedding(COLOURS + 2, config.width)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width, bias=False)
        self.colour_bias = nn.Parameter(torch.zeros(COLOURS))
        self.size_head = nn.Linear(config.width, 2 * MAX_SIDE)
        nn.init.normal_(self.inputs.weight, std=config.width**-0.5)
        nn.init.normal_(self.outputs.weight, std=config.width**-0.5)
        nn.init.zeros_(self.size_head.weight)

    def forward(self, batch: GridBatch) -> tuple[Tensor, Tensor]:
        """Logits of the cells and of the sizes of the queries' outputs.

        Returns:
            `(episodes, queries, places, 10)`, and `(episodes, queries, 2, 30)`: rows, then columns, where number 0
            stands for a side of 1.
        """
        episodes, pairs, length = batch.inputs.shape
        x = (self.inputs(batch.inputs) + self.outputs(batch.outputs)).view(episodes, pairs * length, -1)
        turns = _turns(batch, self.config.width // self.config.heads)
        alone, context, queries = _biases(batch)
        for number, block in enumerate(self.blocks):
            x = block(x, turns, batch, alone if number % 2 == 0 else (context, queries))
        x = self.norm(x).view(episodes, pairs, length, -1)[:, batch.context :]
        cells = F.linear(x, self.outputs.weight[:COLOURS], self.colour_bias)
        return cells.float(), self.size_head(x[:, :, 0]).float().unflatten(-1, (2, MAX_SIDE))


class _Block(nn.Module):
    def __init__(self, config: GridNetConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(config.width, bias=False)
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.hidden_norm = nn.LayerNorm(config.width, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)
        for last in (self.out, self.down):
            nn.init.zeros_(last.weight)

    def forward(self, x: Tensor, turns: _Two, batch: GridBatch, biases: Tensor | _Two) -> Tensor:
        episodes, tokens, width = x.shape
        # (3, episodes, heads, tokens, width of a head)
        read: Tensor = self.qkv(self.attention_norm(x))
        q, k, v = read.view(episodes, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = _turned(q, turns), _turned(k, turns)
        mixed = _across(q, k, v, batch, *biases) if isinstance(biases, tuple) else _within(q, k, v, batch, biases)
        x = x + self.out(mixed.transpose(1, 2).reshape(episodes, tokens, width))
        more: Tensor = self.down(F.relu(self.up(self.hidden_norm(x))).square())
        return x + more


def _within(q: Tensor, k: Tensor, v: Tensor, batch: GridBatch, bias: Tensor) -> Tensor:
    """Each pair attends to itself; q, k and v are `(episodes, heads, tokens, width of a head)`."""
    (episodes, pairs, length), heads = batch.inputs.shape, q.shape[1]

    def apart(x: Tensor) -> Tensor:
        return x.reshape(episodes, heads, pairs, length, -1).transpose(1, 2).flatten(0, 1)

    found = _attention(apart(q), apart(k), apart(v), bias)
    return found.view(episodes, pairs, heads, length, -1).transpose(1, 2).flatten(2, 3)


def _across(q: Tensor, k: Tensor, v: Tensor, batch: GridBatch, context: Tensor, queries: Tensor) -> Tensor:
    """The context attends to the context, each query to the context and to itself."""
    (episodes, _, length), heads, count = batch.inputs.shape, q.shape[1], batch.queries
    cut = batch.context * length
    of_context = q[:, :, :cut]
    if cut:  # not without a context
        of_context = _attention(of_context, k[:, :, :cut], v[:, :, :cut], context)

    def apart(x: Tensor) -> Tensor:
        return x[:, :, cut:].reshape(episodes, heads, count, length, -1).transpose(1, 2)

    def with_context(x: Tensor) -> Tensor:
        shared = x[:, None, :, :cut].expand(-1, count, -1, -1, -1)
        return torch.cat([shared, apart(x)], dim=3).flatten(0, 1)

    found = _attention(apart(q).flatten(0, 1), with_context(k), with_context(v), queries)
    of_queries = found.view(episodes, count, heads, length, -1).transpose(1, 2).flatten(2, 3)
    return torch.cat([of_context, of_queries], dim=2)


def _attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Always in float32: on a processor its gradient takes two and a half times as long in bfloat16."""
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=bias)


def _biases(batch: GridBatch) -> tuple[Tensor, Tensor, Tensor]:
    """What is added to the products of queries and keys: within pairs, within contexts, and from queries.

    `(episodes · pairs, 1, 1, tokens)`, `(episodes, 1, 1, tokens)` and `(episodes · queries, 1, 1, tokens)`.
    """
    keys = torch.where(batch.real, 0.0, _NEVER)
    context = keys[:, : batch.context].flatten(1)
    own = keys[:, batch.context :]
    queries = torch.cat([context[:, None].expand(-1, batch.queries, -1), own], dim=2)
    return keys.flatten(0, 1)[:, None, None], context[:, None, None], queries.flatten(0, 1)[:, None, None]


def _turns(batch: GridBatch, width: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles of each token, `(episodes, 1, tokens, half the width of a head)`.

    A cell turns by 1 radian in the fastest pair of dimensions and by 0.05 in the slowest.
    """
    frequencies = torch.logspace(0.0, -1.3, width // 4, device=batch.rows.device)
    angles = torch.cat([batch.rows[..., None] * frequencies, batch.columns[..., None] * frequencies], dim=-1)
    angles = angles.flatten(1, 2)[:, None]
    return angles.cos(), angles.sin()


def _turned(x: Tensor, turns: _Two) -> Tensor:
    cos, sin = turns
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def save_grid_net(net: GridNet, path: Path, more: Mapping[str, Tensor] | None = None, **about: str) -> None:
    """Write a net, and other tensors and words beside it, in place of what was there."""
    tensors = {f"{_PREFIX}{name}": tensor.contiguous() for name, tensor in net.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(tensors | dict(more or {}), temporary, {"config": json.dumps(asdict(net.config)), **about})
    temporary.replace(path)


def load_grid_net(path: Path) -> GridNet:
    """The net of a file that `save_grid_net` wrote, frozen.

    Raises:
        ModelError: there is no such file, or it holds no such net.
    """
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(_PREFIX)]  # noqa: SIM118
            tensors = {name.removeprefix(_PREFIX): file.get_tensor(name).float() for name in names}
            config = json.loads((file.metadata() or {})["config"])
        net = GridNet(GridNetConfig(**config))
        net.load_state_dict(tensors)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"{path} holds no net for grids ({error}); give a file that `whet arc pretrain` wrote."
        ) from error
    return net.requires_grad_(False).eval()
