"""Asking the process that keeps the answers, so that no solver ever has them in its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from whet import errors
from whet.tasks.arc.files import KEEPER


def ask(operation: str, **arguments: Any) -> Any:
    """The reply of `answers.tasks` or `answers.judge`, called in a process of its own.

    Raises:
        WhetError: as the operation does.
        StoreError: the process died.
    """
    # -P keeps the current folder, which may hold anyone's files, out of the paths that modules are imported from.
    command = [sys.executable, "-P", "-m", KEEPER]
    paths = [str(Path(errors.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        command,
        input=json.dumps({"operation": operation, "arguments": arguments}),
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise errors.StoreError(
            f"the process that reads the tasks ended with the code {done.returncode}: {last}; is there memory left?"
        )
    reply = json.loads(done.stdout)
    if "error" in reply:
        raise getattr(errors, reply["error"])(reply["message"])
    return reply["result"]
