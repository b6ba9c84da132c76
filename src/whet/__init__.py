"""whet sharpens a language model on the question in front of it.

The names are imported when they are first used, so that `import whet` costs next to nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

# Threads of OpenMP that wait by spinning stop each other on a busy machine: a training step on two cores with other
# work took 5.1 s, and 0.15 s once they sleep. It counts if torch has not been imported yet.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from whet.adaptation import LoraConfig, TrainConfig
    from whet.config import EngineConfig
    from whet.control import Budget
    from whet.decoding import Sampling
    from whet.engine import Engine
    from whet.errors import (
        AdapterError,
        EmbedderMismatchError,
        EmptyMemoryError,
        InputError,
        MissingExtraError,
        ModelError,
        RecordError,
        SandboxError,
        StoreError,
        WhetError,
    )
    from whet.memory import Memory
    from whet.models import LanguageModel
    from whet.types import Answer, Cost, Example, GuardReport, Pick, Plan, Query

    __version__: str

__all__ = [
    "AdapterError",
    "Answer",
    "Budget",
    "Cost",
    "EmbedderMismatchError",
    "EmptyMemoryError",
    "Engine",
    "EngineConfig",
    "Example",
    "GuardReport",
    "InputError",
    "LanguageModel",
    "LoraConfig",
    "Memory",
    "MissingExtraError",
    "ModelError",
    "Pick",
    "Plan",
    "Query",
    "RecordError",
    "Sampling",
    "SandboxError",
    "StoreError",
    "TrainConfig",
    "WhetError",
    "__version__",
]

_NAMES = {
    "adaptation": ("LoraConfig", "TrainConfig"),
    "control": ("Budget",),
    "decoding": ("Sampling",),
    "config": ("EngineConfig",),
    "engine": ("Engine",),
    "errors": (
        "AdapterError",
        "EmbedderMismatchError",
        "EmptyMemoryError",
        "InputError",
        "MissingExtraError",
        "ModelError",
        "RecordError",
        "SandboxError",
        "StoreError",
        "WhetError",
    ),
    "memory": ("Memory",),
    "models": ("LanguageModel",),
    "types": ("Answer", "Cost", "Example", "GuardReport", "Pick", "Plan", "Query"),
}
"""What each room lends to the package, for `__getattr__`; the imports above say the same to type checkers."""

_HOMES = {name: f"whet.{room}" for room, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("whet")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'whet' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
