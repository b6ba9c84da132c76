"""Which language model is to read tasks, checked before any task is begun."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from whet.errors import InputError
from whet.tasks.arc.language.answer import FORM
from whet.tasks.arc.language.serialise import digits, minimal


@dataclass(frozen=True)
class ModelChoice:
    """A language model and how it reads tasks; it can be sent to another process.

    Attributes:
        name: as `LanguageModel.from_pretrained` takes it.
        serialisation: a name in `SERIALISATIONS`.
        fingerprint: hash of its weights.
    """

    name: str
    serialisation: str
    fingerprint: str


def choose(name: str) -> ModelChoice:
    """Load a model, see that it can read tasks and practise on them, and let it go.

    Args:
        name: as `LanguageModel.from_pretrained` takes it.

    Raises:
        ModelError: it cannot be loaded, or has no layers that an adapter could change.
        InputError: its tokenizer cannot write grids, or the model is too small for the adapter.
    """
    from whet.models import LanguageModel

    model = LanguageModel.from_pretrained(name)
    serialisation = _serialisation(model.tokenizer)
    FORM.bind(model.module)
    return ModelChoice(name, serialisation, model.fingerprint)


def _serialisation(tokenizer: Any) -> str:
    """`minimal` for the minimal tokenizer, `digits` for any other that can write grids.

    Raises:
        InputError: as in `digits`.
    """
    with suppress(InputError):
        minimal(tokenizer)
        return "minimal"
    digits(tokenizer)
    return "digits"
