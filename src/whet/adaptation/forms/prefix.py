"""Prefix tuning: learnt keys and values in each block, which all tokens see before themselves.

Source: Li & Liang 2021, arXiv 2101.00190, §4, learnt directly and not through a network of their own (§4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whet.adaptation.forms.base import Active
from whet.adaptation.layout import Layout
from whet.errors import InputError, ModelError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from whet.adaptation.forms.virtual import KeysValues

_KIND = "PREFIX_TUNING"


@dataclass(frozen=True)
class PrefixConfig:
    """Shape of a prefix.

    Attributes:
        num_virtual_tokens: keys and values in each block, at least 1.
    """

    num_virtual_tokens: int = 20

    def __post_init__(self) -> None:
        if self.num_virtual_tokens < 1:
            raise InputError(f"num_virtual_tokens={self.num_virtual_tokens}: a prefix has at least 1 virtual token.")

    def bind(self, module: nn.Module) -> BoundPrefix:
        """Fit to a causal language model.

        Raises:
            InputError: the prefix fills the context.
            ModelError: the model does not keep keys and values of one shape in each block.
        """
        return BoundPrefix(self, module)


class BoundPrefix:
    """A prefix in each block of a model."""

    first_block = 0
    alone = False

    def __init__(self, config: PrefixConfig, module: nn.Module) -> None:
        from whet.adaptation.forms.virtual import probe

        self.config = config
        self.module: Any = module
        kept = probe(module, config.num_virtual_tokens)
        shapes = {tuple(states.shape[1:]) for both in kept for states in both}
        if len(shapes) > 1:
            raise ModelError(
                f"{type(module).__name__} keeps keys and values of several shapes ({sorted(shapes)}), which a prefix "
                "cannot have; use PromptConfig, whose keys and values the model makes itself."
            )
        self.layout = Layout({"prefix": (len(kept), 2, *shapes.pop())})

    def fresh(self, generator: Generator) -> dict[str, Tensor]:
        """The keys and values of tokens drawn from the vocabulary, a better start than noise (§7.4)."""
        import torch

        from whet.adaptation.forms.virtual import read, words

        with torch.no_grad():
            states = read(self.module, words(self.module, self.config.num_virtual_tokens, generator)[None])
        return {"prefix": torch.stack([torch.cat(both) for both in states]).float()}

    def hooked(self, active: Active) -> AbstractContextManager[None]:
        """Put each slot's keys and values before those of its sequences, while the block lasts."""
        from whet.adaptation.forms.virtual import preceded

        def states() -> KeysValues:
            held = active.tensors["prefix"].to(self.module.dtype)
            return [(block[:, 0], block[:, 1]) for block in held.unbind(1)]

        return preceded(self.module, self.config.num_virtual_tokens, active, states)

    def to_peft(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings and the tensor as PEFT's prefix tuning has them: a row for each token, block after block."""
        from whet.adaptation.forms.virtual import settings

        _, _, heads, count, size = self.layout.shapes["prefix"]
        found = settings(self.module, _KIND, count, width=heads * size, heads=heads)
        rows = tensors["prefix"].permute(3, 0, 1, 2, 4).reshape(count, -1)
        return found | {"prefix_projection": False}, {"prompt_embeddings": rows}

    def from_peft(self, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensor of a PEFT folder.

        Raises:
            AdapterError: it is no prefix, or does not fit.
        """
        from whet.adaptation.forms.virtual import from_peft

        blocks, both, heads, count, size = self.layout.shapes["prefix"]
        rows = from_peft(settings, weights, _KIND, (count, blocks * both * heads * size))
        return {"prefix": rows.view(count, blocks, both, heads, size).permute(1, 2, 3, 0, 4)}
