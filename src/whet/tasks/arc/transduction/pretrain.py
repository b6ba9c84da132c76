"""Pretraining of the net, in steps that can be killed at any moment and gone on with.

The learning rate is constant after the warm-up and falls linearly to zero over the last `decay` steps (Hu et al. 2024,
arXiv 2404.06395). The state before the fall is kept, so that a longer run goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open

from whet.errors import InputError
from whet.models.allocator import keep_freed_memory
from whet.models.grid_net import GridNet, GridNetConfig, load_grid_net, save_grid_net
from whet.models.precision import low_products
from whet.tasks.arc.net_file import trained_on, trained_up_to
from whet.tasks.arc.transduction.encoding import IGNORED
from whet.tasks.arc.transduction.loss import mean_loss

if TYPE_CHECKING:
    from torch import Tensor

    from whet.tasks.arc.transduction.sampling import Sampler

_STATE = "state.safetensors"
_PLATEAU = "plateau.safetensors"
_WEIGHT_DECAY = 0.05


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: number of the last step.
        lr: learning rate between warm-up and decay.
        warmup: steps in which it rises from zero.
        decay: steps in which it falls to zero at the end.
        clip: largest norm of a gradient.
    """

    steps: int
    lr: float = 2e-3
    warmup: int = 200
    decay: int = 0
    clip: float = 1.0

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        return self.lr * rise * min(1.0, (self.steps - step) / max(1, self.decay))


class Pretraining:
    """A net, its optimisers, and how far they are.

    Args:
        config: shape of the net; a folder that already holds a state must hold one of this shape.
        folder: where the state is kept.
        seed: what the first weights depend on.

    The tasks of training sets that it was ever trained on, and the largest side of their grids, are written beside the
    weights.

    Raises:
        InputError: the state in the folder is of another shape.
    """

    def __init__(self, config: GridNetConfig, folder: Path, *, seed: int = 0) -> None:
        keep_freed_memory()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net = GridNet(config)
        self.folder = folder
        self.step = 0
        self.tasks: frozenset[str] = frozenset()
        self.side = 0
        self.optimisers = _optimisers(self.net)
        if self.path.exists():
            self._load(self.path)

    @property
    def path(self) -> Path:
        """Where the net and all that is needed to go on are written."""
        return self.folder / _STATE

    def train(self, sampler: Sampler, schedule: Schedule, *, save_every: int, log: Callable[[Any], None]) -> None:
        """Train up to the last step of the schedule; `log` is given each number, loss and share of right outputs."""
        self.tasks |= sampler.mixture.tasks.keys()
        self.side = max(self.side, *sampler.mixture.sides)
        while self.step < schedule.steps:
            if schedule.decay and self.step == schedule.steps - schedule.decay:
                self._save(self.folder / _PLATEAU)
            batch, colours, sides = sampler.batch(self.step)
            for optimiser in self.optimisers:
                optimiser.param_groups[0]["lr"] = schedule.rate(self.step)
            with low_products():
                cells, sizes = self.net(batch)
            loss = mean_loss(cells, sizes, colours, sides)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), schedule.clip)
            for optimiser in self.optimisers:
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            self.step += 1
            log({"step": self.step, "loss": loss.item(), "right": _right(cells, colours)})
            if self.step % save_every == 0 or self.step == schedule.steps:
                self._save(self.path)

    def _save(self, path: Path) -> None:
        states: dict[str, Tensor] = {}
        for index, optimiser in enumerate(self.optimisers):
            for number, state in optimiser.state_dict()["state"].items():
                states |= {f"optimiser.{index}.{number}.{name}": tensor for name, tensor in state.items()}
        about = {"step": str(self.step), "tasks": json.dumps(sorted(self.tasks)), "side": str(self.side)}
        save_grid_net(self.net, path, states, **about)

    def _load(self, path: Path) -> None:
        net = load_grid_net(path)
        if net.config != self.net.config:
            raise InputError(f"{path} holds a net of {net.config}, not of {self.net.config}; give another folder.")
        self.net.load_state_dict(net.state_dict())
        self.tasks, self.side = trained_on(path), trained_up_to(path)
        with safe_open(path, "pt") as file:
            self.step = int(file.metadata()["step"])
            tensors = {name: file.get_tensor(name) for name in file.keys() if name.startswith("optimiser.")}  # noqa: SIM118
        for index, optimiser in enumerate(self.optimisers):
            states: dict[int, dict[str, Tensor]] = {}
            for name, tensor in tensors.items():
                _, owner, number, key = name.split(".")
                if int(owner) == index:
                    states.setdefault(int(number), {})[key] = tensor
            optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})


def _right(cells: Tensor, colours: Tensor) -> float:
    """The share of the queries all of whose cells are right."""
    there = colours != IGNORED
    right = ((cells.argmax(-1) == colours) | ~there).all(-1)
    return float(right[there.any(-1)].float().mean())


def _optimisers(net: GridNet) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks (Jordan et al. 2024), AdamW for the rest."""
    matrices = [p for n, p in net.named_parameters() if p.ndim == 2 and n.startswith("blocks")]
    others = [p for n, p in net.named_parameters() if not (p.ndim == 2 and n.startswith("blocks"))]
    return [
        torch.optim.Muon(matrices, lr=0.0, weight_decay=_WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]
