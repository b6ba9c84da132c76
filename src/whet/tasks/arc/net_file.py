"""What the file of a net says of its training; read without torch, for a task that programs solve needs none."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from whet.errors import ModelError
from whet.tasks.arc.grids import MAX_SIDE


def trained_on(path: Path) -> frozenset[str]:
    """Ids of the tasks of training sets that a net was trained on, for `whet.tasks.arc.refuse_leak`.

    Raises:
        ModelError: there is no such file, or it does not say.
    """
    try:
        with safe_open(path, "np") as file:
            return frozenset(json.loads(file.metadata()["tasks"]))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ModelError(f"{path} does not say what it was trained on ({error}); give one that says it.") from error


def trained_up_to(path: Path) -> int:
    """The largest side of the grids that a net was trained on, in cells; that of all tasks, if the file does not say.

    Raises:
        ModelError: there is no such file.
    """
    try:
        with safe_open(path, "np") as file:
            return int((file.metadata() or {}).get("side", MAX_SIDE))
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{path} holds no net for grids ({error}); check the path.") from error
