"""What the net is trained for: the colours of the outputs' cells, and the outputs' sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whet.tasks.arc.transduction.encoding import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

SIZE_WEIGHT = 0.1


def losses(cells: Tensor, sizes: Tensor, colours: Tensor, sides: Tensor) -> Tensor:
    """The loss of each query, `(episodes, queries)`: the mean of its cells' cross-entropies, and some of its size's.

    Args:
        cells: logits `(episodes, queries, places, 10)`.
        sizes: logits `(episodes, queries, 2, 30)`.
        colours: targets `(episodes, queries, places)`.
        sides: targets `(episodes, queries, 2)`.
    """
    from torch.nn import functional as F

    each = F.cross_entropy(cells.flatten(0, 2), colours.flatten(), ignore_index=IGNORED, reduction="none")
    of_cells = each.view_as(colours).sum(-1) / (colours != IGNORED).sum(-1).clamp(min=1)
    each = F.cross_entropy(sizes.flatten(0, 2), sides.flatten(), ignore_index=IGNORED, reduction="none")
    return of_cells + SIZE_WEIGHT * each.view_as(sides).sum(-1)


def mean_loss(cells: Tensor, sizes: Tensor, colours: Tensor, sides: Tensor) -> Tensor:
    """The mean over the queries that are there."""
    there = (sides[..., 0] != IGNORED) | (colours != IGNORED).any(-1)
    return losses(cells, sizes, colours, sides)[there].mean()
