"""A causal language model with its tokenizer: frozen, in evaluation mode, on one device."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whet.errors import ModelError

if TYPE_CHECKING:
    import torch

WHET_BASE = "whet-base"


class LanguageModel:
    """A Hugging Face causal LM and its tokenizer, with its weights frozen.

    Args:
        model: a `transformers` causal LM.
        tokenizer: the tokenizer that belongs to it.
        name: how people call it; goes into records and reports.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        self.module = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name

    @classmethod
    def from_pretrained(cls, name: str | Path = WHET_BASE, *, device: str = "cpu") -> LanguageModel:
        """Load `whet-base`, a model of the Hugging Face hub, or one in a local folder; weights in float32.

        Raises:
            ModelError: there is no such model, it is no causal LM, or it has no safetensors weights.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        source = Path(__file__).parent / "whet_base" if name == WHET_BASE else name
        try:
            tokenizer = AutoTokenizer.from_pretrained(source)
            model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"the model {str(name)!r} could not be loaded: {str(error).splitlines()[0]} "
                f"Give '{WHET_BASE}', a folder written by save_pretrained, or the name of a causal LM on the hub."
            ) from error
        return cls(model.to(device), tokenizer, str(name))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.module.device
        return device

    @property
    def context(self) -> int:
        """The most tokens that one forward pass may read."""
        return int(self.module.config.max_position_embeddings)

    @property
    def width(self) -> int:
        """Size of the hidden states."""
        return int(self.module.config.hidden_size)

    @property
    def layers(self) -> int:
        """Number of transformer blocks."""
        return int(self.module.config.num_hidden_layers)

    @cached_property
    def matrix_parameters(self) -> int:
        """Weights that are multiplied with every token: all matrices but the embeddings, and the output matrix."""
        embedding = self.module.get_input_embeddings().weight
        output = self.module.get_output_embeddings().weight
        rest = sum(
            p.numel()
            for name, p in self.module.named_parameters()
            if p.ndim == 2 and p is not embedding and p is not output and "embed" not in name and ".wpe." not in name
        )
        return rest + int(output.numel())

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all weights and their names (32 hex digits): an adapter belongs to one fingerprint."""
        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def start(self) -> int:
        """Id of the token that a text begins with: the tokenizer's beginning, end or first token."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return 0

    @property
    def end(self) -> int | None:
        """Id of the token that ends a text, if the tokenizer has one."""
        token = self.tokenizer.eos_token_id
        return None if token is None else int(token)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, without special tokens; `decode(encode(text)) == text` for byte-level tokenizers."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return ids

    def decode(self, ids: list[int]) -> str:
        """The text of token ids; special tokens are left out and spaces are kept as they are."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text
