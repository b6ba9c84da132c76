"""Features of texts: pooled hidden states of a frozen encoder, each text read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from whet.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

_BATCH = 32


class PooledEncoder:
    """A `transformers` encoder that gives one vector a text; frozen, in evaluation mode.

    Args:
        module: a model whose output has `last_hidden_state`, such as `AutoModel` loads.
        tokenizer: the tokenizer that belongs to it; longer texts are cut at its or the model's limit.
        pooling: `mean` of the hidden states of a text's tokens, or that of the `first` token.

    Raises:
        InputError: there is no such pooling.
    """

    def __init__(self, module: Any, tokenizer: Any, *, pooling: Literal["mean", "first"] = "mean") -> None:
        if pooling not in ("mean", "first"):
            raise InputError(f"pooling={pooling!r}: give 'mean' or 'first'.")
        self.module = module.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.pooling = pooling

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Features `(texts, width)`, in batches of similar length.

        Raises:
            InputError: there are no texts, or one has no tokens.
        """
        import torch

        limit = min(self.tokenizer.model_max_length, self.module.config.max_position_embeddings)
        rows = self.tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"] if texts else []
        if not all(rows) or not rows:
            raise InputError(f"{len(texts)} texts, of which one may have no tokens, cannot be read; give some text.")
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        found: list[Tensor] = [torch.empty(0)] * len(rows)
        for begin in range(0, len(order), _BATCH):
            places = order[begin : begin + _BATCH]
            for place, vector in zip(places, self._pooled([rows[place] for place in places]), strict=True):
                found[place] = vector
        return torch.stack(found)

    def _pooled(self, rows: Sequence[Sequence[int]]) -> Tensor:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        device, empty = self.module.device, self.tokenizer.pad_token_id or 0
        ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=empty).to(device)
        mask = pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True).to(device)
        with torch.no_grad():
            states = self.module(input_ids=ids, attention_mask=mask).last_hidden_state
            if self.pooling == "first":
                return states[:, 0]  # type: ignore[no-any-return]
            return (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)  # type: ignore[no-any-return]


class Features:
    """Features of texts, kept in memory so that each text is read once.

    Args:
        encode: makes one row of each text: a `PooledEncoder`, or `embed` of an embedder.
    """

    def __init__(self, encode: Callable[[Sequence[str]], ArrayLike | Tensor]) -> None:
        self._encode = encode
        self._kept: dict[str, Tensor] = {}

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Features `(texts, width)`."""
        import torch

        new = [text for text in dict.fromkeys(texts) if text not in self._kept]
        if new or not texts:
            # copies: a view would hold on to all rows that were made with it
            self._kept |= {text: row.clone() for text, row in zip(new, torch.as_tensor(self._encode(new)), strict=True)}
        return torch.stack([self._kept[text] for text in texts])
