"""ARC by a causal language model, token by token: serialisations, practice on each task, search, votes."""

from whet.tasks.arc.language.answer import VOTES, answer, answer_practised
from whet.tasks.arc.language.choice import ModelChoice, choose
from whet.tasks.arc.language.practice import PRACTICE, practise
from whet.tasks.arc.language.reading import Answering, Reading, read
from whet.tasks.arc.language.serialise import (
    SERIALISATIONS,
    CellTokens,
    Serialisation,
    digits,
    minimal,
    minimal_tokenizer,
)

__all__ = [
    "PRACTICE",
    "SERIALISATIONS",
    "VOTES",
    "Answering",
    "CellTokens",
    "ModelChoice",
    "Reading",
    "Serialisation",
    "answer",
    "answer_practised",
    "choose",
    "digits",
    "minimal",
    "minimal_tokenizer",
    "practise",
    "read",
]
