"""SIFT against activeft 0.1.1, where that one is right: one thread, distinct vectors, at most 1000 of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from selection_oracle import problem, reference_gains

from whet.selection import Sift

faiss = pytest.importorskip("faiss")
pytest.importorskip("activeft")

CASES = list(product(("cap", "clustered", "isotropic"), ((100, 32), (400, 64)), (0.01, 0.1, 1.0), (1, 3)))


@pytest.mark.parametrize(("kind", "shape", "noise", "targets"), CASES)
def test_same_picks_as_activeft(kind: str, shape: tuple[int, int], noise: float, targets: int) -> None:
    import torch
    from activeft.acquisition_functions.vtl import VTL
    from activeft.sift import Retriever

    torch.set_num_threads(1)
    candidates, query = (part.astype(np.float32) for part in problem(kind, *shape, targets, seed=1))
    index = faiss.IndexFlatIP(shape[1])
    index.add(candidates)
    in_process = VTL(target=torch.Tensor(), noise_std=float(np.sqrt(noise)), num_workers=0)  # else it forks a worker
    values, theirs, _, _ = Retriever(index, in_process).search(query, N=15, K=len(candidates), threads=1)

    choice = Sift(noise).choose(candidates, query, 15)
    for i, (ours, other) in enumerate(zip(choice.indices, theirs, strict=True)):
        if ours != other:  # the peer compares variances in float32, which cannot tell small gains apart
            gains = reference_gains(candidates, query, noise, choice.indices[:i].tolist())
            assert gains[ours] == pytest.approx(gains[other], abs=1e-6 * targets)
            return
    np.testing.assert_allclose(choice.variances[1:], -values / targets, atol=1e-5)
