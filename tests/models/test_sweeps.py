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
    pair = both_ways(lambda: sweeps.rms_norm_back(x, factor, weight, d), threads)
    torch.testing.assert_close(*pair, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("threads", [1, 3])
@given(sequences=st.integers(1, 3), tokens=st.integers(1, 9), heads=st.integers(1, 3), half=st.integers(1, 9))
@settings(deadline=None)
def test_heads_there_and_back(threads: int, sequences: int, tokens: int, heads: int, half: int) -> None:
    x = random(sequences, tokens, heads, 2 * half, seed=1)
    angles = random(sequences, tokens, half, seed=2)
    turn = angles.cos(), angles.sin()
    one, two = both_ways(lambda: sweeps.to_heads(x, turn), threads)
    close((one, two))
    assert one.is_contiguous()
    close(both_ways(lambda: sweeps.from_heads(one, turn).contiguous(), threads))
    torch.testing.assert_close(sweeps.from_heads(one, turn), x, atol=1e-5, rtol=1e-5)  # turning keeps lengths
    assert torch.equal(sweeps.from_heads(sweeps.to_heads(x, None), None), x)


@given(n=st.integers(1, 3), group=st.integers(1, 3), tokens=st.integers(1, 40), first=st.integers(0, 40))
@settings(deadline=None)
def test_causal_softmax_and_its_gradient(n: int, group: int, tokens: int, first: int) -> None:
    scores = random(n, group * tokens, first + tokens, seed=3, scale=5)
    d = random(*scores.shape, seed=4)
    close(both_ways(lambda: sweeps.causal_softmax_(scores.clone(), tokens, first)))
    shares = sweeps.causal_softmax_(scores.clone(), tokens, first)
    close(both_ways(lambda: sweeps.softmax_back_(d.clone(), shares, 0.5)))


@given(n=st.integers(1, 3), tokens=st.integers(1, 40), first=st.integers(0, 40))
@settings(deadline=None)
def test_softmax_in_bfloat16_is_that_of_float32_rounded_at_the_end(n: int, tokens: int, first: int) -> None:
    scores = random(n, tokens, first + tokens, seed=3, scale=5).bfloat16()
    shares = sweeps.causal_softmax_(scores.clone(), tokens, first)
    near = {"rtol": 2**-8, "atol": 1e-30}  # half of the last place, and what float32 itself is off
    torch.testing.assert_close(shares.float(), sweeps.causal_softmax_(scores.float(), tokens, first), **near)
    d = random(*scores.shape, seed=4).bfloat16()
    exact = sweeps.softmax_back_(d.float(), shares.float(), 0.5)
    torch.testing.assert_close(sweeps.softmax_back_(d.clone(), shares, 0.5).float(), exact, rtol=2**-8, atol=1e-6)


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
    shares = sweeps.causal_softmax_(x[None].clone(), 2, 38)
    assert shares[0, 0].isnan().any()
    assert shares[0, 1].isfinite().all()
