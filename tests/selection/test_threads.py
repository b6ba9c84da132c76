"""Selectors in many threads, and what they leave alone: global random generators, the environment, child processes."""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from selection_oracle import problem, same_choice

from whet.selection import SELECTORS, Choice, Constraints, Predictions, Selector

PROBLEMS = [
    problem(kind, rows, 24, targets, rows) for kind in ("cap", "clustered") for rows in (20, 60) for targets in (1, 2)
]
LIMITS = [None, Constraints(repeats=2, exclude=[0, 1]), Constraints(known=PROBLEMS[0][0][:2], budget=6)]
NAMES = list(SELECTORS)


def predictions(candidates: np.ndarray, query: np.ndarray) -> Predictions:
    rng = np.random.default_rng(len(candidates))
    return Predictions(rng.dirichlet(np.ones(3), len(candidates)), rng.dirichlet(np.ones(3), len(query)))


def one(selector: Selector, i: int) -> Choice:
    candidates, query = PROBLEMS[i % len(PROBLEMS)]
    limit = LIMITS[i % len(LIMITS)]
    return selector.choose(candidates, query, 8, constraints=limit, predictions=predictions(candidates, query))


def many(selector: Selector) -> list[Choice]:
    candidates, queries = zip(*PROBLEMS, strict=True)
    return selector.choose_many(candidates, queries, 8, predictions=[predictions(*p) for p in PROBLEMS])


@pytest.mark.parametrize("name", NAMES)
def test_threads_get_what_one_thread_gets(name: str) -> None:
    selector = SELECTORS[name]()
    alone = [one(selector, i) for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda i: one(selector, i), range(24)))
    assert all(map(same_choice, alone, together))


@pytest.mark.parametrize("name", ["sift", "itl", "nearest", "random", "kmeans++"])
def test_threads_choose_for_many_queries(name: str) -> None:
    selector = SELECTORS[name]()
    alone = many(selector)
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(lambda _: many(selector), range(16)):
            assert all(map(same_choice, alone, answers))


@pytest.mark.parametrize("name", ["sift", "itl"])
def test_threads_share_tensors(name: str) -> None:
    candidates, query = (torch.tensor(part) for part in PROBLEMS[0])
    selector = SELECTORS[name]()
    alone = selector.choose(candidates, query, 8)
    with ThreadPoolExecutor(8) as pool:
        assert all(same_choice(alone, c) for c in pool.map(lambda _: selector.choose(candidates, query, 8), range(16)))


def states() -> list[Any]:
    """Of the global random generators."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return [random.getstate(), name, keys.tolist(), *rest, torch.random.get_rng_state().tolist()]


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("a child process was started")


@pytest.mark.parametrize("name", NAMES)
def test_neither_draws_from_a_global_generator_nor_starts_a_process(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, attribute in (
        (os, "fork"),
        (os, "posix_spawn"),
        (os, "system"),
        (subprocess, "Popen"),
        (multiprocessing.Process, "start"),
    ):
        monkeypatch.setattr(owner, attribute, refuse)
    selector = SELECTORS[name]()
    before, environment = states(), dict(os.environ)
    first = many(selector)
    assert states() == before
    assert dict(os.environ) == environment
    numpy_before, random_before = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng():
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)
        torch.manual_seed(1)
        second = many(selector)
    np.random.set_state(numpy_before)  # noqa: NPY002
    random.setstate(random_before)
    assert all(map(same_choice, first, second))


@pytest.mark.parametrize("name", NAMES)
def test_inputs_may_be_read_only_and_are_not_written_to(name: str) -> None:
    candidates, query = (part.copy() for part in PROBLEMS[0])
    said = predictions(candidates, query)
    limit = Constraints(noise=np.full(20, 0.1), cost=np.ones(20), known=query + 1)
    for array in (candidates, query, said.candidates, said.targets, limit.noise, limit.cost, limit.known):
        array.flags.writeable = False
    selector = SELECTORS[name]()
    choice = selector.choose(candidates, query, 8, constraints=limit, predictions=said)
    writeable = selector.choose(candidates.copy(), query.copy(), 8, constraints=limit, predictions=said)
    assert same_choice(choice, writeable)
