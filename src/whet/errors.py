"""The exceptions that a user can catch. Each message names the value, the reason and the next step.

Every error is a `WhetError` and also the standard-library error that it specialises, so that `except ValueError`
works as a reader expects.
"""

from __future__ import annotations


class WhetError(Exception):
    """Base of all errors that whet raises on purpose."""


class InputError(WhetError, ValueError):
    """An argument is empty, of the wrong shape, not finite or out of range."""


class RecordError(InputError):
    """A record in a file cannot be read; the message names the file and the line."""


class EmptyMemoryError(WhetError, LookupError):
    """The memory holds nothing that could be learnt from."""


class StoreError(WhetError, OSError):
    """A store on disk is missing, damaged, locked by another writer, or the disk is full."""


class EmbedderMismatchError(WhetError, ValueError):
    """The memory was made with another embedder than the one that is asked to search it."""


class ModelError(WhetError, ValueError):
    """A model cannot be loaded, or lacks the modules that an adapter asks for."""


class AdapterError(WhetError, ValueError):
    """An adapter does not fit the model, or its files are damaged."""


class SandboxError(WhetError, OSError):
    """This machine cannot lock a program in, or the sandbox's server does not start."""


class MissingExtraError(WhetError, ImportError):
    """A feature needs a package that is installed by one of whet's extras."""
