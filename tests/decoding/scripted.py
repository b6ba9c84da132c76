"""A stand-in for a language model whose next token is known: for exact tests of what surrounds it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from whet.models import LanguageModel


class Scripted(torch.nn.Module):
    """Gives the logits that a function makes of all tokens so far; its cache is the list of them.

    Attributes:
        passes: the ids that each pass read.
    """

    device = torch.device("cpu")

    def __init__(self, logits: Callable[[list[int]], torch.Tensor], context: int) -> None:
        super().__init__()
        self.config = SimpleNamespace(max_position_embeddings=context)
        self.logits = logits
        self.passes: list[list[int]] = []

    def forward(
        self, ids: torch.Tensor, past_key_values: list[int] | None, use_cache: bool, logits_to_keep: int
    ) -> SimpleNamespace:
        assert (use_cache, logits_to_keep) == (True, 1)
        self.passes.append(ids[0].tolist())
        past = (past_key_values or []) + self.passes[-1]
        assert len(past) <= self.config.max_position_embeddings
        return SimpleNamespace(logits=self.logits(past)[None, None], past_key_values=past)


def scripted(tokenizer: Any, logits: Callable[[list[int]], torch.Tensor], context: int = 1000) -> LanguageModel:
    """A model with these logits and this tokenizer."""
    return LanguageModel(Scripted(logits, context), tokenizer, "scripted")


def saying(tokenizer: Any, prompt_tokens: int, ids: list[int], context: int = 1000) -> LanguageModel:
    """A model that says `ids` after a prompt of so many tokens (the start token among them), then only the first."""

    def logits(past: list[int]) -> torch.Tensor:
        said = len(past) - prompt_tokens
        scores = torch.zeros(len(tokenizer))
        scores[ids[said] if said < len(ids) else ids[0]] = 50.0
        return scores

    return scripted(tokenizer, logits, context)


def byte_ids(tokenizer: Any, text: str) -> list[int]:
    """One token of the byte-level alphabet for each UTF-8 byte of `text`."""
    from tokenizers.pre_tokenizers import ByteLevel

    pieces = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return [tokenizer.convert_tokens_to_ids(symbol) for piece, _ in pieces for symbol in piece]
