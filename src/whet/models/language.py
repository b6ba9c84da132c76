"""A causal language model with its tokenizer: frozen, in evaluation mode, on one device."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from whet.errors import InputError, ModelError

if TYPE_CHECKING:
    import torch

    from whet.models.packing import Reader

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
    def from_pretrained(
        cls, name: str | Path = WHET_BASE, *, device: str = "cpu", dtype: Literal["float32", "bfloat16"] = "float32"
    ) -> LanguageModel:
        """Load `whet-base`, a model of the Hugging Face hub, or one in a local folder.

        Args:
            name: what to load.
            device: where to.
            dtype: of its weights; `bfloat16` halves their memory, and pays where the hardware computes in it. Adapters
                are kept and updated in float32 in either case.

        Raises:
            ModelError: there is no such model, it is no causal LM, it has no safetensors weights, or they are damaged
                or incomplete.
            InputError: this machine has no such device.
        """
        import torch
        from huggingface_hub.errors import StrictDataclassError
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer

        source = Path(__file__).parent / "whet_base" if name == WHET_BASE else Path(name)
        if not source.is_dir() and (isinstance(name, Path) or source.is_absolute() or str(name).startswith(".")):
            raise _not_loaded(name, "there is no such folder")
        where = source if source.is_dir() else str(name)
        unfit = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, StrictDataclassError)
        try:
            tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
            model, found = AutoModelForCausalLM.from_pretrained(
                where,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except unfit as error:
            raise _not_loaded(name, f"{type(error).__name__}: {error}".splitlines()[0]) from error
        if found["missing_keys"]:  # transformers would go on with random weights in their place
            missing = sorted(found["missing_keys"])
            raise _not_loaded(name, f"{len(missing)} weights of its shape are not in its files, such as {missing[0]}")
        try:
            model = model.to(device)
        except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
            raise InputError(
                f"device={device!r} cannot be used: {error}. Give 'cpu' or a device that is there."
            ) from error
        return cls(model, tokenizer, str(name))

    @cached_property
    def reader(self) -> Reader:
        """Reads several sequences in one pass."""
        from whet.models.packing import Reader

        return Reader(self)

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
        """Weights that are multiplied with every token: all matrices but those that are looked up in.

        The output matrix counts, also where it is tied to the embedding.
        """
        from torch import nn

        return sum(
            weight.numel()
            for module in self.module.modules()
            if not isinstance(module, nn.Embedding)
            for weight in module.parameters(recurse=False)
            if weight.ndim == 2
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all weights and their names (32 hex digits): an adapter belongs to one fingerprint."""
        import torch

        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())  # numpy has no bfloat16
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
        """Token ids of `text`; `decode(encode(text)) == text` for byte-level tokenizers.

        All of it is text: no special tokens are added, and what looks like one is spelt out in ordinary tokens.

        Raises:
            InputError: the text has half of a surrogate pair, which UTF-8 cannot write.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"the text has {text[error.start]!r} at character {error.start}, which is half of a surrogate pair and "
                "no character; replace it, for instance by text.encode(errors='replace').decode()."
            ) from error
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
        return ids

    def decode(self, ids: list[int]) -> str:
        """The text of token ids; special tokens are left out and spaces are kept as they are."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


def _not_loaded(name: str | Path, reason: str) -> ModelError:
    return ModelError(
        f"the model {str(name)!r} could not be loaded: {reason.rstrip('.')}. "
        f"Give '{WHET_BASE}', a folder written by save_pretrained, or the name of a causal LM on the hub."
    )
