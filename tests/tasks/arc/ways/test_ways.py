"""Each way of solving, on a task that it can solve or with a stand-in for what it asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from whet.errors import InputError, ModelError
from whet.models.grid_net import GridNet, GridNetConfig, save_grid_net
from whet.programs.limits import Meter
from whet.tasks.arc import ArcTask, Pair, as_grid
from whet.tasks.arc.transduction.practice import Practice
from whet.tasks.arc.ways import AGAINST, WAYS, Settings

FLIP = ArcTask(
    "flip",
    (Pair(as_grid([[1, 2, 3]]), as_grid([[3, 2, 1]])), Pair(as_grid([[4, 5], [6, 7]]), as_grid([[5, 4], [7, 6]]))),
    (as_grid([[8, 9]]), as_grid([[0, 1, 2]])),
)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_grid_net(GridNet(GridNetConfig(16, 2, 2, 16)), tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def test_induction_gives_programs_the_likeliest_first() -> None:
    (findings,) = WAYS["induction"](FLIP, Settings(), Meter(20))
    found = findings.candidates
    assert not findings.note
    assert [grid.tolist() for grid in found[0].outputs] == [[[9, 8]], [[2, 1, 0]]]
    assert found[0].program
    sure = [one.confidence[0] for one in found]
    assert sure == sorted(sure, reverse=True)
    assert all(0 < p < 1 and one.confidence == (p, p) for one, p in zip(found, sure, strict=True))


def test_transduction_gives_two_candidates_a_stage_with_their_votes(net: Path) -> None:
    settings = Settings(net=net, practice=Practice(steps=10, episodes=2), views=4)
    stages = WAYS["transduction"](FLIP, settings, Meter(1e6))
    first, second = next(stages).candidates, next(stages).candidates
    assert [one.found for one in (*first, *second)] == [
        *["net, 0 steps of practice"] * 2,
        *["net, 10 steps of practice"] * 2,
    ]
    best, other = second
    assert [grid.shape for grid in best.outputs] == [(1, 2), (1, 3)]
    assert best.views == 4
    assert all(0 <= votes <= 4 for votes in (*best.votes, *other.votes))
    assert all(a.tolist() != b.tolist() for a, b in zip(best.outputs, other.outputs, strict=True))
    assert {"votes", "views", "confidence", "outputs"} <= best.as_json().keys()


def test_of_grids_much_larger_than_in_training_the_net_expects_nothing(tmp_path: Path) -> None:
    net = Settings(net=tmp_path / "net.safetensors")
    save_grid_net(GridNet(GridNetConfig(16, 2, 2, 16)), net.net, side="10")

    def told(side: int, settings: Settings) -> str:
        task = ArcTask("wide", (Pair(as_grid([[1] * side]), as_grid([[2]])),), (as_grid([[3]]),))
        return AGAINST["transduction"](task, settings)

    assert told(15, net) == told(15, Settings()) == ""
    assert told(16, net) == told(16, Settings())  # the net that comes with whet was trained up to the same size
    assert told(16, net) == "a net that was trained on grids up to 10×10 does not help with so much larger ones"


def test_whether_the_net_would_help_is_told_without_torch() -> None:
    """A task that programs solve would otherwise wait for it."""
    told = (
        "import sys; from whet.tasks.arc import ArcTask, Pair, as_grid;"
        "from whet.tasks.arc.ways import AGAINST, Settings;"
        "one = as_grid([[1]]); AGAINST['transduction'](ArcTask('x', (Pair(one, one),), (one,)), Settings());"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0


def test_transduction_says_that_a_single_demonstration_cannot_be_practised_on(net: Path) -> None:
    one = ArcTask("single", FLIP.train[:1], FLIP.test)
    (findings,) = WAYS["transduction"](one, Settings(net=net, views=2), Meter(1e6))
    assert len(findings.candidates) == 2
    assert findings.note == "the task 'single' has one training pair, so leaving out 1 leaves none to predict from"


def test_induction_says_that_no_program_was_found() -> None:
    clash = ArcTask("clash", (FLIP.train[0], Pair(FLIP.train[0].input, as_grid([[5]]))), FLIP.test)
    (findings,) = WAYS["induction"](clash, Settings(), Meter(20))
    assert findings.candidates == []
    assert findings.note == "no program was found that reproduces all demonstrations"


def test_transduction_says_which_file_holds_no_net(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.safetensors"):
        next(WAYS["transduction"](FLIP, Settings(net=tmp_path / "nothing.safetensors"), Meter(1)))


def test_synthesis_wants_a_server() -> None:
    with pytest.raises(InputError, match="server"):
        next(WAYS["synthesis"](FLIP, Settings(), Meter(1)))
