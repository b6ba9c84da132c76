"""The adapter cache under several processes at once, and under processes that are killed."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from whet.errors import AdapterError
from whet.memory import AdapterCache, Provenance

ROUNDS = 25
RECIPE = {"lr": 0.1}


def add(cache: AdapterCache, seed: int, *examples: str) -> str:
    import torch

    weights = {"layer.lora_A.weight": torch.full((64, 64), float(seed))}
    provenance = Provenance(examples, "m", "hash", seed, RECIPE)
    vector = np.random.default_rng(seed).normal(size=8)
    return cache.add({"peft_type": "LORA", "seed": seed}, weights, vector=vector, provenance=provenance)


def write(folder: Path, writer: int) -> None:
    cache = AdapterCache(folder)
    for n in range(ROUNDS):
        seed = writer * ROUNDS + n
        add(cache, seed, "secret" if n % 2 else "open", f"e{seed}")


def read(folder: Path, done: Path) -> None:
    cache = AdapterCache(folder)
    while not done.exists():
        assert not cache.damaged
        for found in cache.lookup(np.ones(8), model="m", embedder="hash", recipe=RECIPE, hit=0.9, warm=0.5).neighbours:
            try:
                settings, weights = cache.load(found.id)
            except AdapterError as error:
                if "may have been removed" not in str(error):
                    raise
                continue
            assert settings["seed"] == found.provenance.seed
            assert (weights["layer.lora_A.weight"] == found.provenance.seed).all()


def forget(folder: Path, done: Path) -> None:
    cache = AdapterCache(folder)
    while not done.exists():
        cache.forget(["secret"])


def test_writers_a_reader_and_a_forgetter_at_once(tmp_path: Path) -> None:
    folder, done = tmp_path / "adapters", tmp_path / "done"
    processes = multiprocessing.get_context("spawn")
    writers = [processes.Process(target=write, args=(folder, n)) for n in range(2)]
    others = [processes.Process(target=target, args=(folder, done)) for target in (read, forget)]
    for process in [*writers, *others]:
        process.start()
    for process in writers:
        process.join()
    done.touch()
    for process in others:
        process.join()
    assert [process.exitcode for process in [*writers, *others]] == [0, 0, 0, 0]
    cache = AdapterCache(folder)
    cache.forget(["secret"])
    kept = {n + writer * ROUNDS for writer in range(2) for n in range(0, ROUNDS, 2)}
    assert {record.provenance.seed for record in cache} == kept
    assert {path.name for path in folder.iterdir()} == {record.id for record in cache}
    assert cache.damaged == {}


KILLED = """
import os, pathlib, shutil, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_adapter_processes import add
from whet.memory import AdapterCache

cache = AdapterCache(Path(sys.argv[2]))
add(cache, 0, "a"), add(cache, 1, "b")

def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def half(path, content, write=Path.write_bytes):
    write(path, content[: len(content) // 2])
    kill()

def partly(folder, *_, **__):
    next(Path(folder).iterdir()).unlink()
    kill()

def dies_at(module, name, replacement, call, calls=[]):
    original = getattr(module, name)
    def patched(*args, **kwargs):
        calls.append(name)
        return (replacement if len(calls) == call else original)(*args, **kwargs)
    setattr(module, name, patched)

def dies(act, *where):
    child = os.fork()
    if not child:
        dies_at(*where)
        act()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, where

for call in (1, 2, 3, 4):  # the record, the count of hits, the settings, the weights
    dies(lambda: add(cache, 2, "killed"), Path, "write_bytes", half, call)
dies(lambda: add(cache, 2, "killed"), Path, "rename", kill, 1)
dies(lambda: cache.forget(["a"]), shutil, "rmtree", partly, 1)
dies(lambda: cache.load(next(iter(cache)).id), os, "utime", kill, 1)
"""


def test_a_process_killed_at_any_step_leaves_whole_adapters_only(tmp_path: Path) -> None:
    folder = tmp_path / "adapters"
    subprocess.run([sys.executable, "-c", KILLED, str(Path(__file__).parent), str(folder)], check=True)
    cache = AdapterCache(folder)
    assert [(record.provenance.example_ids, record.hits) for record in cache] == [(("b",), 1)]
    assert cache.damaged == {}
    for record in cache:
        cache.load(record.id)
    left = {path.name for path in folder.iterdir() if path.name.startswith(".")}
    assert sum(name.startswith(".draft-") for name in left) == 5
    assert sum(name.startswith(".gone-") for name in left) == 1

    cache.forget(["killed"])
    for path in folder.glob(".*"):  # what was killed before it had written what it learnt from holds no weights
        assert {file.name for file in path.iterdir()} <= {"whet.json", "hits"}
        os.utime(path, (0, 0))
    add(cache, 3, "c")
    assert {path.name for path in folder.iterdir()} == {record.id for record in cache}
    assert len(cache) == 2
