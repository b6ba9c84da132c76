"""One sweep of machine code against several of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.models import sweeps

pytest.importorskip("numba")
CPU = torch.device("cpu")


def random(*shape: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def both_ways(run: Callable[[], Any], threads: int = 1) -> tuple[Any, Any]:
    """What the compiled and the plain way give."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: threads)
        patch.setattr(sweeps, "NUMBERS_A_THREAD", 1)
        compiled = run()
        patch.setattr(sweeps, "numba_is_there", lambda: False)
        return compiled, run()


def close(pair: tuple[Any, Any]) -> None:
    torch.testing.assert_close(*pair, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("threads", [1, 3])
@settings(deadline=None)
@given(
    rows=st.integers(1, 9), size=st.integers(1, 70), scale=st.sampled_from([0.1, 1.0, 30.0]), seed=st.integers(0, 99)
)
def test_gates_and_norms(threads: int, rows: int, size: int, scale: float, seed: int) -> None:
    x, y, d = (random(rows, size, seed=seed + n, scale=scale) for n in range(3))
    weight = random(size, seed=5)
    close(both_ways(lambda: sweeps.swiglu(x, y), threads))
    for pair in zip(*both_ways(lambda: sweeps.swiglu_back(x, y, d / scale), threads), strict=True):
        torch.testing.assert_close(*pair, atol=1e-5 * scale, rtol=1e-5)
    close(both_ways(lambda: sweeps.rms_norm(x, weight, 1e-6), threads))
    factor = sweeps.rms_norm(x, weight, 1e-6)[1]
    for more in (None, y):
        pair = both_ways(lambda more=more: sweeps.rms_norm_back(x, factor, weight, d, more), threads)
        torch.testing.assert_close(*pair, atol=1e-4, rtol=1e-4)
    for pair in zip(*both_ways(lambda: sweeps.rms_norm_sum(x, y, weight, 1e-6), threads), strict=True):
        close(pair)


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_cross_entropy_and_its_gradient(scale: float) -> None:
    logits, targets = random(7, 50, seed=1, scale=scale), torch.arange(7) * 7
    pairs = zip(*both_ways(lambda: sweeps.cross_entropy_(logits.clone(), targets), 3), strict=True)
    for pair in pairs:
        torch.testing.assert_close(*pair, atol=1e-5, rtol=1e-5)
    exact = torch.nn.functional.cross_entropy(logits.double(), targets, reduction="none")
    torch.testing.assert_close(sweeps.cross_entropy_(logits.clone(), targets)[0].double(), exact, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_a_number_stays_visible(bad: float) -> None:
    x = torch.ones(2, 40)
    x[0, 3] = bad
    assert sweeps.swiglu(x, -x)[0, 3].isfinite().logical_not()
    nats, gradient = sweeps.cross_entropy_(x.clone(), torch.zeros(2, dtype=torch.long))
    assert not nats[0].isfinite()
    assert nats[1].isfinite()
    assert gradient[1].isfinite().all()
