"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from whet.errors import StoreError


def write_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 file so that a reader meets the old one or the new one, whole.

    Raises:
        StoreError: the folder cannot be made or the disk is full; the old file, if any, is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        draft = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
            draft.chmod(0o644)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)  # it is there only if something went wrong
    except OSError as error:
        raise StoreError(f"{path} could not be written: {error.strerror}. Free some space, or name another.") from error
