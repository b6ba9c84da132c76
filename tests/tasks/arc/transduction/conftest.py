import numpy as np
import pytest
import torch

from whet.models.grid_net import GridNet, GridNetConfig
from whet.tasks.arc import ArcTask, Pair, as_grid


@pytest.fixture
def net():
    """A tiny net with random weights in all its parts."""
    torch.manual_seed(0)
    made = GridNet(GridNetConfig(width=16, blocks=2, heads=2, hidden=24))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made.requires_grad_(False)


@pytest.fixture
def task():
    """Four grids flipped from left to right, and two to flip."""
    rng = np.random.default_rng(0)
    grids = [rng.integers(0, 10, (2, 3)) for _ in range(6)]
    train = tuple(Pair(as_grid(grid), as_grid(np.fliplr(grid))) for grid in grids[:4])
    return ArcTask("flip", train, tuple(map(as_grid, grids[4:])))
