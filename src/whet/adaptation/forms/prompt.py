"""Prompt tuning: learnt embeddings before each sequence, and the model as it is.

Source: Lester et al. 2021, arXiv 2104.08691, §2.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whet.adaptation.forms.base import Active
from whet.adaptation.layout import Layout
from whet.errors import InputError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

_KIND = "PROMPT_TUNING"


@dataclass(frozen=True)
class PromptConfig:
    """Shape of a soft prompt.

    Attributes:
        num_virtual_tokens: embeddings before each sequence, at least 1; more than 20 gain little (§3.2).
    """

    num_virtual_tokens: int = 20

    def __post_init__(self) -> None:
        if self.num_virtual_tokens < 1:
            raise InputError(f"num_virtual_tokens={self.num_virtual_tokens}: a prompt has at least 1 virtual token.")

    def bind(self, module: nn.Module) -> BoundPrompt:
        """Fit to a causal language model.

        Raises:
            InputError: the prompt fills the context.
            ModelError: the model does not keep keys and values in each block.
        """
        return BoundPrompt(self, module)


class BoundPrompt:
    """A soft prompt before what a model reads."""

    first_block = 0
    alone = False

    def __init__(self, config: PromptConfig, module: Any) -> None:
        from whet.adaptation.forms.virtual import probe

        self.config = config
        self.module = module
        probe(module, config.num_virtual_tokens)
        self.width = int(module.get_input_embeddings().weight.shape[1])
        self.layout = Layout({"prompt": (config.num_virtual_tokens, self.width)})

    def fresh(self, generator: Generator) -> dict[str, Tensor]:
        """The embeddings of tokens drawn from the vocabulary (§2.1)."""
        from whet.adaptation.forms.virtual import words

        return {"prompt": words(self.module, self.config.num_virtual_tokens, generator)}

    def hooked(self, active: Active) -> AbstractContextManager[None]:
        """Put each slot's prompt before its sequences, while the block lasts."""
        from whet.adaptation.forms.virtual import preceded, read

        return preceded(
            self.module, self.config.num_virtual_tokens, active, lambda: read(self.module, active.tensors["prompt"])
        )

    def to_peft(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings and the tensor as PEFT's prompt tuning has them."""
        from whet.adaptation.forms.virtual import settings

        heads = self.module.config.num_attention_heads
        found = settings(self.module, _KIND, self.config.num_virtual_tokens, width=self.width, heads=heads)
        return found, {"prompt_embeddings": tensors["prompt"]}

    def from_peft(self, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensor of a PEFT folder.

        Raises:
            AdapterError: it is no soft prompt, or does not fit.
        """
        from whet.adaptation.forms.virtual import from_peft

        return {"prompt": from_peft(settings, weights, _KIND, self.layout.shapes["prompt"])}
