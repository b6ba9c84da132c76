"""Who writes the programs: a language model on this machine, or (`server`) one behind an address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from whet.decoding import Sampling, generate_many

if TYPE_CHECKING:
    from whet.models import LanguageModel

_OPENING, _CLOSING = "```python\n", "\n```"
_SAMPLING = Sampling(max_tokens=512, temperature=0.8, top_p=0.95)


class Writer(Protocol):
    """Answers prompts."""

    def write(self, prompts: Sequence[str], n: int, seed: int) -> list[list[str]]:
        """Draw `n` answers to each prompt, in the prompts' order.

        Raises:
            ModelError: the model cannot be asked.
        """
        ...


@dataclass(frozen=True)
class LocalWriter:
    """A language model that continues each prompt with a block of code; a chat template is not used.

    The prompts are continued in the same passes. A prompt that is too long for the model keeps its last part.

    Attributes:
        model: which.
        sampling: how; its stop strings and its seed are replaced.
    """

    model: LanguageModel
    sampling: Sampling = _SAMPLING

    def write(self, prompts: Sequence[str], n: int, seed: int) -> list[list[str]]:
        """See `Writer`; the same seed draws the same answers.

        Raises:
            ModelError: the model's logits are not numbers, or it has no linear layers.
        """
        from whet.adaptation import AdapterBank, LoraConfig

        # generate_many wants an adapter for each prompt: these are as they were made, and change nothing
        bank = AdapterBank(self.model.module, LoraConfig(r=1, layers=1), slots=len(prompts))
        opened = [prompt + _OPENING for prompt in prompts]
        answers: list[list[str]] = [[] for _ in prompts]
        for draw in range(n):
            sampling = replace(self.sampling, stop=(_CLOSING,), seed=seed + draw)
            drawn = generate_many(self.model, opened, sampling, bank=bank, slots=range(len(prompts)))
            for texts, one in zip(answers, drawn, strict=True):
                texts.append(_OPENING + one.text)
        return answers
