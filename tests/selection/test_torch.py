"""Tensors in place of arrays, and arrays of unusual kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from selection_oracle import Rbf, problem, same_choice

from whet.errors import InputError
from whet.selection import SELECTORS, Constraints, Predictions, Sift
from whet.selection.criteria import PosteriorSelector

NAMES = list(SELECTORS)
BY_POSTERIOR = [name for name, make in SELECTORS.items() if isinstance(make(), PosteriorSelector)]
LIMITS = [
    None,
    Constraints(exclude=[0, 3], near_copy=0.9, noise=np.linspace(0.05, 1, 20)),
    Constraints(cost=np.linspace(1, 2, 20), budget=7, group=np.arange(20) % 3, per_group=2, repeats=2),
]


def data(dtype: type = np.float64, seed: int = 0, targets: int = 2) -> tuple[np.ndarray, np.ndarray]:
    candidates, query = problem("cap", 20, 12, targets, seed)
    return candidates.astype(dtype), query.astype(dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tensors_are_chosen_from_as_arrays_are(name: str, dtype: type) -> None:
    selector = SELECTORS[name](noise=0.05)
    rng = np.random.default_rng(0)
    for seed, limit in enumerate(LIMITS):
        candidates, query = data(dtype, seed)
        said = rng.dirichlet(np.ones(3), 20), rng.dirichlet(np.ones(3), 2)
        arrays = selector.choose(candidates, query, 6, constraints=limit, predictions=Predictions(*said))
        tensors = selector.choose(
            torch.tensor(candidates),
            torch.tensor(query),
            6,
            constraints=limit,
            predictions=Predictions(*map(torch.tensor, said)),
        )
        assert tensors.indices.tolist() == arrays.indices.tolist()
        np.testing.assert_allclose(tensors.variances, arrays.variances, atol=1e-12 if dtype is np.float64 else 2e-6)
        assert isinstance(tensors.indices, np.ndarray)
        assert isinstance(tensors.gains, np.ndarray)
        assert (tensors.stopped, tensors.exhausted) == (arrays.stopped, arrays.exhausted)


@pytest.mark.parametrize("name", NAMES)
def test_many_tensors_are_chosen_from_as_many_arrays_are(name: str) -> None:
    rng = np.random.default_rng(0)
    pairs = [data(np.float64, seed, 1 + seed % 2) for seed in range(9)]
    said = [Predictions(rng.dirichlet(np.ones(3), 20), rng.dirichlet(np.ones(3), len(q))) for _, q in pairs]
    limits = [LIMITS[i % 3] for i in range(9)]
    selector = SELECTORS[name](noise=0.05)
    arrays, tensors = (
        selector.choose_many(
            [kind(c) for c, _ in pairs], [kind(q) for _, q in pairs], 6, constraints=limits, predictions=said
        )
        for kind in (np.asarray, torch.tensor)
    )
    for ours, theirs in zip(tensors, arrays, strict=True):
        assert ours.indices.tolist() == theirs.indices.tolist()
        np.testing.assert_allclose(ours.gains, theirs.gains, atol=1e-12)


def test_many_tensors_are_chosen_from_as_each_alone_bit_for_bit() -> None:
    pairs = [problem("clustered", 12, 65, 3, seed) for seed in range(7)]
    candidates, queries = ([torch.tensor(p[i], dtype=torch.float32) for p in pairs] for i in (0, 1))
    selector = Sift(0.05)
    together = selector.choose_many(candidates, queries, 5)
    alone = [selector.choose(c, q, 5) for c, q in zip(candidates, queries, strict=True)]
    assert all(map(same_choice, together, alone))


def test_a_context_of_tensors_is_known() -> None:
    candidates, query = data()
    context = candidates[:3] + 0.1
    arrays = Sift().choose(candidates, query, 6, constraints=Constraints(known=context))
    tensors = Sift().choose(
        *map(torch.tensor, (candidates, query)), 6, constraints=Constraints(known=torch.tensor(context))
    )
    assert tensors.indices.tolist() == arrays.indices.tolist()
    np.testing.assert_allclose(tensors.variances, arrays.variances, atol=1e-12)


@pytest.mark.parametrize("name", BY_POSTERIOR)
def test_a_kernel_of_the_user_takes_tensors(name: str) -> None:
    selector = SELECTORS[name](noise=0.05, kernel=Rbf(1.5))
    candidates, query = data()
    arrays = selector.choose(candidates, query, 6)
    tensors = selector.choose(torch.tensor(candidates), torch.tensor(query), 6)
    assert tensors.indices.tolist() == arrays.indices.tolist()


@pytest.mark.parametrize("name", ["sift", "itl", "nearest"])
def test_tensors_are_left_alone(name: str) -> None:
    candidates, query = (torch.tensor(part) for part in data())
    before = candidates.clone(), query.clone()
    SELECTORS[name]().choose(candidates, query, 6)
    assert torch.equal(candidates, before[0])
    assert torch.equal(query, before[1])
    assert candidates.grad is query.grad is None


@pytest.mark.parametrize("name", ["sift", "nearest"])
def test_tensors_made_without_gradients_for_good_are_taken(name: str) -> None:
    candidates, query = data()
    with torch.inference_mode():
        tensors = torch.tensor(candidates), torch.tensor(query)
        inside = SELECTORS[name]().choose(*tensors, 6)
    outside = SELECTORS[name]().choose(*tensors, 6)
    assert inside.indices.tolist() == outside.indices.tolist()


@pytest.mark.parametrize("name", ["sift", "itl", "nearest"])
@pytest.mark.parametrize("which", ["candidates", "query"])
def test_tensors_that_require_gradients_are_chosen_from_as_others(name: str, which: str) -> None:
    candidates, query = (torch.tensor(part) for part in data())
    plain = SELECTORS[name]().choose(candidates, query, 6)
    (candidates if which == "candidates" else query).requires_grad_()
    assert same_choice(SELECTORS[name]().choose(candidates, query, 6), plain)


def test_parameters_are_tensors() -> None:
    candidates, query = (torch.tensor(part) for part in data())
    weights = torch.nn.Parameter(candidates, requires_grad=False)
    assert same_choice(Sift().choose(weights, query, 6), Sift().choose(candidates, query, 6))


def test_constraints_may_be_tensors() -> None:
    candidates, query = (torch.tensor(part) for part in data())
    noise = np.linspace(0.05, 1, 20)
    arrays = Sift().choose(candidates, query, 6, constraints=Constraints(noise=noise))
    tensors = Sift().choose(candidates, query, 6, constraints=Constraints(noise=torch.tensor(noise)))
    assert same_choice(tensors, arrays)


def test_other_constraints_may_be_tensors() -> None:
    candidates, query = (torch.tensor(part) for part in data())
    cost, exclude, group = np.linspace(1, 2, 20), np.array([0, 3]), [f"g{i % 3}" for i in range(20)]
    arrays = Constraints(cost=cost, exclude=exclude, budget=6, group=group, per_group=2)
    tensors = Constraints(cost=torch.tensor(cost), exclude=torch.tensor(exclude), budget=6, group=group, per_group=2)
    choices = [Sift().choose(candidates, query, 6, constraints=limit) for limit in (arrays, tensors)]
    assert same_choice(*choices)


def test_groups_may_be_a_tensor() -> None:
    candidates, query = data()
    group = np.arange(20) % 3
    arrays = Sift().choose(candidates, query, 6, constraints=Constraints(group=group, per_group=1))
    tensors = Sift().choose(candidates, query, 6, constraints=Constraints(group=torch.tensor(group), per_group=1))
    assert same_choice(tensors, arrays)


C64, Q64 = data()
MIXED: dict[str, tuple[Callable[[], Any], str]] = {
    "array and tensor": (lambda: (C64, torch.tensor(Q64)), "candidates are a ndarray but query is a Tensor"),
    "tensor and array": (lambda: (torch.tensor(C64), Q64), "candidates are a Tensor but query is a ndarray"),
    "dtypes": (lambda: (torch.tensor(C64), torch.tensor(Q64).float()), "torch.float64 but query is torch.float32"),
    "half": (lambda: (torch.tensor(C64).half(), torch.tensor(Q64).half()), "dtype torch.float16"),
    "bfloat16": (lambda: (torch.tensor(C64).bfloat16(), torch.tensor(Q64).bfloat16()), "dtype torch.bfloat16"),
    "whole numbers": (lambda: (torch.ones(3, 12, dtype=torch.int64), torch.tensor(Q64)), "dtype torch.int64"),
    "dimensions": (lambda: (torch.tensor(C64), torch.ones(5, dtype=torch.float64)), "12 dimensions but query has 5"),
    "NaN": (lambda: (torch.tensor(C64) * torch.nan, torch.tensor(Q64)), "row 0 of candidates is not finite"),
    "zero": (lambda: (torch.tensor(C64), torch.tensor(Q64) * 0), "row 0 of query is zero"),
    "none": (lambda: (torch.tensor(C64)[:0], torch.tensor(Q64)), r"candidates have shape \(0, 12\)"),
    "big-endian": (lambda: (C64.astype(">f8"), Q64), "dtype >f8"),
    "objects": (lambda: (C64.astype(object), Q64), "dtype object"),
    "long doubles": (lambda: (C64.astype(np.longdouble), Q64), "dtype float128"),
    "words": (lambda: ("abc", Q64), "a str is neither"),
    "nothing": (lambda: (None, Q64), "a NoneType is neither"),
    "whole numbers in a list": (lambda: ([[1, 2], [3, 4]], [[1, 2]]), "dtype int64"),
}


@pytest.mark.parametrize("name", ["sift", "nearest"])
@pytest.mark.parametrize("case", list(MIXED))
def test_refuses_what_it_cannot_use(name: str, case: str) -> None:
    inputs, message = MIXED[case]
    with pytest.raises(InputError, match=message):
        SELECTORS[name]().choose(*inputs(), 3)


@pytest.mark.parametrize(
    "layout",
    [
        lambda t: t.T.contiguous().T,
        lambda t: torch.stack([t, t], dim=2)[:, :, 0],
        lambda t: t.repeat(1, 2)[:, : t.shape[1]],
        lambda t: t.flip(0).flip(0),
    ],
    ids=["columns", "strided", "slice", "flipped"],
)
@pytest.mark.parametrize("name", ["sift", "itl", "nearest"])
def test_any_layout_of_a_tensor_is_read_rightly(name: str, layout: Callable[[torch.Tensor], torch.Tensor]) -> None:
    candidates, query = (torch.tensor(part) for part in data())
    expected = SELECTORS[name]().choose(candidates, query, 6)
    assert same_choice(SELECTORS[name]().choose(layout(candidates), layout(query), 6), expected)


class Labelled(np.ndarray):
    """A subclass that adds nothing."""


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "columns": np.asfortranarray,
    "from the end": lambda a: a[::-1].copy()[::-1],
    "dimensions from the end": lambda a: a[:, ::-1].copy()[:, ::-1],
    "every other": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "subclass": lambda a: a.view(Labelled),
    "list": lambda a: a.tolist(),
    "list of rows": list,
    "tuple": lambda a: tuple(map(tuple, a.tolist())),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
@pytest.mark.parametrize("name", ["sift", "itl", "nearest", "random"])
def test_any_layout_of_an_array_is_read_rightly(name: str, layout: Callable[[np.ndarray], Any]) -> None:
    candidates, query = data()
    expected = SELECTORS[name]().choose(candidates, query, 6)
    assert same_choice(SELECTORS[name]().choose(layout(candidates), layout(query), 6), expected)


@pytest.mark.parametrize("name", ["sift", "nearest"])
def test_an_array_in_a_file_is_chosen_from(name: str, tmp_path: Path) -> None:
    candidates, query = data()
    np.save(tmp_path / "candidates.npy", candidates)
    mapped = np.load(tmp_path / "candidates.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    expected = SELECTORS[name]().choose(candidates, query, 6)
    assert same_choice(SELECTORS[name]().choose(mapped, query, 6), expected)


def test_a_list_may_be_one_query() -> None:
    candidates, query = data(targets=1)
    expected = Sift().choose(candidates, query[0], 6)
    assert same_choice(Sift().choose(candidates, query[0].tolist(), 6), expected)


def test_masked_numbers_are_not_taken_for_numbers() -> None:
    candidates, query = data()
    with pytest.raises(InputError, match="candidates"):
        Sift().choose(np.ma.array(candidates, mask=candidates > 0.3), query, 6)
