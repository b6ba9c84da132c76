"""A folder of three tasks, and a way to write more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

RAW: dict[str, Any] = {
    "flip": {
        "train": [
            {"input": [[1, 2, 3]], "output": [[3, 2, 1]]},
            {"input": [[4, 5], [6, 7]], "output": [[5, 4], [7, 6]]},
        ],
        "test": [{"input": [[8, 9]], "output": [[9, 8]]}],
    },
    "grow": {
        "train": [{"input": [[1]], "output": [[1, 1], [1, 1]]}],
        "test": [
            {"input": [[2]], "output": [[2, 2], [2, 2]]},
            {"input": [[3]], "output": [[3, 3], [3, 3]]},
        ],
    },
    "same": {
        "train": [{"input": [[0, 5]], "output": [[0, 5]]}],
        "test": [{"input": [[7]], "output": [[7]]}],
    },
}


@pytest.fixture
def raw() -> dict[str, Any]:
    """Three tasks as JSON has them."""
    return json.loads(json.dumps(RAW))  # type: ignore[no-any-return]


@pytest.fixture
def folder(tmp_path: Path, raw: dict[str, Any]) -> Path:
    """The three tasks, a file each, one of them deeper."""
    root = tmp_path / "tasks"
    (root / "deeper").mkdir(parents=True)
    for task_id, content in raw.items():
        place = root / "deeper" if task_id == "grow" else root
        (place / f"{task_id}.json").write_text(json.dumps(content))
    return root
