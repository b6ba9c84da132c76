"""The loop that all selectors share: propose, ask the stop rule, observe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from whet.selection.base import Choice, FloatArray, Stop
from whet.selection.posterior import Posterior


def pick(posterior: Posterior, n: int, propose: Callable[[int], int], stop: Stop | None) -> Choice:
    """Observe up to `n` candidates, the i-th of them `propose(i)`, until `stop` refuses one."""
    indices: list[int] = []
    gains: list[float] = []
    variances = [1.0]
    stopped = False
    for i in range(n):
        index = propose(i)
        gain = posterior.gain(index) / posterior.prior
        proposed = max(variances[-1] - gain, 0.0)
        if stop is not None and stop(i, variances[-1], proposed):
            stopped = True
            break
        posterior.observe(index)
        indices.append(index)
        gains.append(gain)
        variances.append(proposed)
    return Choice(np.array(indices, np.int64), np.array(variances), np.array(gains), stopped)


def follow(
    candidates: FloatArray, query: FloatArray, order: Sequence[int] | NDArray[np.int64], noise: float, stop: Stop | None
) -> Choice:
    """Take the candidates in a given order, with the variance that they leave; the others cost nothing."""
    distinct, positions = np.unique(order, return_inverse=True)
    posterior = Posterior(candidates[distinct], query, noise, len(positions))
    choice = pick(posterior, len(positions), lambda i: int(positions[i]), stop)
    return Choice(distinct[choice.indices].astype(np.int64), choice.variances, choice.gains, choice.stopped)
