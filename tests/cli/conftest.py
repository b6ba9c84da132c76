"""A memory that opens quickly, a way to call the command line, and an engine that only notes what it is given."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_fakes import TEXTS, FakeEngine, Whet
from fakes import HashEmbedder
from typer.testing import CliRunner

from whet.cli.app import app
from whet.memory import Memory
from whet.types import Example


@pytest.fixture
def whet() -> Whet:
    """Calls the command line in this process."""
    return lambda *arguments, input=None: CliRunner().invoke(app, [str(a) for a in arguments], input=input)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memories are made and opened with an embedder that is quick."""
    monkeypatch.setattr("whet.memory.store.load_embedder", lambda _: HashEmbedder())


@pytest.fixture
def memory(tmp_path: Path, quick: None) -> Path:  # noqa: ARG001
    """A memory of a dozen examples."""
    folder = tmp_path / "notes.whet"
    with Memory.create(folder) as opened:
        opened.add(Example(text, meta={"path": "shapes.py", "line": i + 1}) for i, text in enumerate(TEXTS))
    return folder


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The engine of the command line, replaced."""
    fake = FakeEngine()
    monkeypatch.setattr("whet.engine.Engine.from_pretrained", fake.from_pretrained)
    return fake
