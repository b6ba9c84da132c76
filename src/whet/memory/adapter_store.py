"""The folder of adapters on disk: each there as a whole or not at all, whoever is killed in between.

    ID/             an adapter; its files are described in `adapter_folder`
    ID.damaged/     one that was found damaged when it was loaded
    .draft-ID/      one that is being written
    .gone-ID/       one that is being removed

A folder is written under a hidden name and then renamed, and renamed before it is removed. Nothing is flushed to the
disk: after a power cut an adapter may be damaged, which its checksums tell.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from whet.errors import StoreError
from whet.memory import adapter_folder
from whet.memory.adapter_records import AdapterRecord, Damage

_DRAFT, _GONE, SET_ASIDE = ".draft-", ".gone-", ".damaged"
_WRITTEN_HERE = re.compile(rf"[0-9a-f]{{16}}({SET_ASIDE})?")
_ABANDONED_SECONDS = 3600.0
"""A draft that old belongs to a process that was killed: writing takes seconds."""


class AdapterStore:
    """The adapters under one folder, by name.

    Args:
        folder: made on the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> set[str]:
        """What can be seen in the folder: adapters, damaged ones, and whatever else was put there."""
        return {name for name in self._all() if name[0] != "."}

    def drafts(self) -> Iterator[AdapterRecord]:
        """Records of the adapters that are being written, or that a killed process has left half written."""
        for name in self._all():
            if name.startswith(_DRAFT):
                try:
                    yield adapter_folder.read_record(self.folder / name)
                except (Damage, FileNotFoundError):  # it holds no weights yet, or is done
                    continue

    def publish(self, content: adapter_folder.Content, created: float) -> str:
        """Write an adapter; returns its id.

        Raises:
            StoreError: the disk is full or cannot be written; nothing is left behind.
        """
        adapter_id = uuid.uuid4().hex[:16]
        draft = self.folder / f"{_DRAFT}{adapter_id}"
        try:
            adapter_folder.write(draft, content, created)
            draft.rename(self.folder / adapter_id)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and self.folder.is_dir() and not draft.exists():
                return adapter_id  # another process has forgotten it already
            shutil.rmtree(draft, ignore_errors=True)
            raise StoreError(
                f"the adapter could not be written to {self.folder}: {error.strerror}. "
                "Free some space there, or turn the cache off."
            ) from error
        return adapter_id

    def remove(self, name: str) -> bool:
        """Remove a folder; False if another process did.

        Raises:
            StoreError: it cannot be removed.
        """
        hidden = self.folder / f"{_GONE}{name}"
        with self._removing():
            try:
                (self.folder / name).replace(hidden)
            except FileNotFoundError:
                return False
            _delete(hidden)
        return True

    def written_here(self, name: str) -> bool:
        """Whether a name is one that this class gives."""
        return _WRITTEN_HERE.fullmatch(name) is not None

    def set_aside(self, name: str) -> str | None:
        """Rename an adapter so that no process looks it up again; its new name, or None if that cannot be done."""
        aside = f"{name}{SET_ASIDE}"
        try:
            (self.folder / name).rename(self.folder / aside)
        except OSError:
            return None
        return aside

    def sweep(self, now: float) -> None:
        """Remove what killed processes have left.

        Raises:
            StoreError: it cannot be removed.
        """
        for name in self._all():
            if name.startswith(_GONE):
                with self._removing():
                    _delete(self.folder / name)
            elif name.startswith(_DRAFT) and now - self._changed(name, now) > _ABANDONED_SECONDS:
                self.remove(name)

    def _all(self) -> list[str]:
        try:
            return os.listdir(self.folder)  # noqa: PTH208  # several times faster than iterdir
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _changed(self, name: str, default: float) -> float:
        try:
            return (self.folder / name).stat().st_mtime
        except FileNotFoundError:
            return default

    @contextmanager
    def _removing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"an adapter could not be removed from {self.folder}: {error.strerror} ({error.filename}). "
                "Make the folder writable and try again."
            ) from error


def _delete(folder: Path) -> None:
    """Remove a folder that other processes may be removing at the same time."""
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:  # another process was faster with a part of it
            continue
