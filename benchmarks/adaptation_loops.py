"""The loops that `adaptation_vs_peft.py` compares: PEFT query by query, and whet's bank with all queries at once."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from whet.adaptation import AdapterBank, LoraConfig, TrainConfig, Trainer
from whet.adaptation.objectives import Lesson
from whet.adaptation.objectives.next_token import NextToken
from whet.adaptation.prefixes import Prefixes
from whet.models import LanguageModel
from whet.types import Example

if TYPE_CHECKING:
    from torch import Tensor

RANK, ALPHA, RATE = 8, 16, 3e-3
Queries = Sequence[Sequence[Sequence[int]]]
"""Token ids by query and step."""


def load(size: str) -> LanguageModel:
    """`3M` is whet-base; `15M` a Llama of width 384 with 7 blocks and random weights."""
    model = LanguageModel.from_pretrained()
    if size == "3M":
        return model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape: dict[str, Any] = {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 7, "vocab_size": 4096}
    shape |= {"num_attention_heads": 6, "num_key_value_heads": 6, "max_position_embeddings": 1024}
    return LanguageModel(LlamaForCausalLM(LlamaConfig(**shape, tie_word_embeddings=True)), model.tokenizer, "15M")


@dataclass(frozen=True)
class Given(NextToken):
    """Next tokens of lists of ids; an example's target is the place of its list."""

    lists: Sequence[Sequence[int]] = ()

    def lesson(self, model: LanguageModel, example: Example) -> Lesson:  # noqa: ARG002
        """All tokens of the list."""
        ids = tuple(self.lists[int(example.target)])
        return Lesson(ids, len(ids) - 1, 1)


class Bank:
    """whet: all queries at once.

    Args:
        model: the frozen model.
        slots: how many queries.
        layers: of `LoraConfig`; a share leaves the first blocks as they are, and keeps what they compute.
        precision: of products with frozen matrices.
    """

    def __init__(
        self, model: LanguageModel, slots: int, layers: float | None = None, precision: str = "float32"
    ) -> None:
        self.model = model
        self.config = TrainConfig(lr=RATE, precision=precision)
        self.bank = AdapterBank(model.module, LoraConfig(RANK, ALPHA, layers=layers), slots=slots)
        self.prefixes: Prefixes | None = None
        if layers:
            self.forget()

    def forget(self) -> None:
        """Keep nothing of what the blocks before the adapters compute."""
        self.prefixes = Prefixes(self.model, self.bank.bound.first_block)

    def __call__(self, queries: Queries) -> list[float]:
        """Train an adapter for each query, one step an item; the last losses in bits."""
        lists = [ids for query in queries for ids in query]
        places = iter(range(len(lists)))
        examples = {slot: [Example(str(next(places))) for _ in query] for slot, query in enumerate(queries)}
        for slot in examples:
            self.bank.reset(slot, seed=slot)
        objective = Given(lists=lists)
        trainer = Trainer(self.model, self.bank, self.config, objective=objective, prefixes=self.prefixes)
        traces = trainer.run(examples)
        return [traces[slot].losses[-1] / (len(query[-1]) - 1) for slot, query in enumerate(queries)]


class PeftReset:
    """PEFT at its best: one adapter and one optimiser, set back to the first weights of whet's slot before each query.

    Args:
        model: the frozen model.
        layers: of `LoraConfig`.
        precision: bfloat16 is torch's autocast.
    """

    def __init__(self, model: LanguageModel, layers: float | None = None, precision: str = "float32") -> None:
        self.model = model
        self.low = precision == "bfloat16"
        self.bank = AdapterBank(model.module, LoraConfig(RANK, ALPHA, layers=layers))
        self.module = wrap(model, self.bank.to_peft(0)[0]["target_modules"])
        self.tensors = learnt(self.module)
        self.optimiser = torch.optim.Adam(list(self.tensors.values()), lr=RATE, fused=True)
        self.starts: list[dict[str, Tensor]] = []

    def prepare(self, count: int) -> None:
        """First weights of so many queries."""
        while len(self.starts) < count:
            self.bank.reset(0, seed=len(self.starts))
            self.starts.append(self.bank.to_peft(0)[1])

    def __call__(self, queries: Queries) -> list[float]:
        """Train an adapter for each query, one step an item; the last losses in bits."""
        losses = []
        for query, start in zip(queries, self.starts, strict=False):
            with torch.no_grad():
                for name, tensor in self.tensors.items():
                    tensor.copy_(start[name.replace(".default", "")])
            self.optimiser.state.clear()
            with torch.autocast("cpu", torch.bfloat16, enabled=self.low):
                losses.append(steps(self.module, self.optimiser, query))
        return losses

    def close(self) -> None:
        """Take the adapter off the model."""
        self.module.unload()
        self.model.module.requires_grad_(False)


class PeftFresh:
    """PEFT with a new wrap and a new optimiser a query, which is what its documentation shows.

    Args:
        model: the frozen model.
        precision: bfloat16 is torch's autocast.
    """

    def __init__(self, model: LanguageModel, precision: str = "float32") -> None:
        self.model = model
        self.low = precision == "bfloat16"

    def __call__(self, queries: Queries) -> list[float]:
        """Train an adapter for each query, one step an item; the last losses in bits."""
        losses = []
        for number, query in enumerate(queries):
            torch.manual_seed(number)
            module = wrap(self.model, "all-linear")
            optimiser = torch.optim.Adam(list(learnt(module).values()), lr=RATE, fused=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.low):
                losses.append(steps(module, optimiser, query))
            module.unload()
            self.model.module.requires_grad_(False)
        return losses


def wrap(model: LanguageModel, targets: str | list[str]) -> Any:
    """The model with PEFT's LoRA."""
    import peft

    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets, lora_dropout=0.0, task_type="CAUSAL_LM")
    return peft.get_peft_model(model.module, config)


def learnt(module: Any) -> dict[str, Tensor]:
    """Parameters with a gradient by name."""
    return {name: tensor for name, tensor in module.named_parameters() if tensor.requires_grad}


def steps(module: Any, optimiser: torch.optim.Optimizer, query: Sequence[Sequence[int]]) -> float:
    """One step an item; the last loss in bits."""
    loss = 0.0
    for ids in query:
        row = torch.tensor([ids])
        found = module(row, labels=row, use_cache=False).loss
        found.backward()
        optimiser.step()
        optimiser.zero_grad()
        loss = found.item()
    return loss / math.log(2)


@dataclass(frozen=True)
class Work:
    """Arithmetic of one step of one query of `tokens` tokens, as the mathematics needs it.

    Each matrix takes two operations a weight and token on the way forward, and two on the way back where a gradient
    passes: not through what reads the states below all adapters. Causal attention has two products there and four
    back, of half a square of the tokens each. The adapters' own arithmetic, norms and activations are left out.
    """

    model: LanguageModel

    def flops(self, tokens: int, layers: float | None = None) -> float:
        """Operations: of all blocks, or with the last `layers` only where the blocks before are computed already."""
        total, share = self.model.matrix_parameters, math.ceil((layers or 1) * self.model.layers) / self.model.layers
        output = self.model.module.get_output_embeddings().weight.numel()
        attention = 6 * self.model.layers * tokens**2 * self.model.width
        first = [getattr(self.model.reader.blocks[0].self_attn, f"{name}_proj") for name in "qkv"]
        ends = 2 * tokens * sum(layer.weight.numel() for layer in first)
        return 4 * output * tokens + share * (4 * (total - output) * tokens + attention) - ends

    def rate(self, precision: str = "float32") -> float:
        """Operations a second of the products of this model, by whichever of torch's two routines is faster."""
        from whet.adaptation.products import frozen_product

        width, dtype = self.model.width, getattr(torch, precision)
        x, weight = torch.randn(512, width), torch.randn(2 * width, width)
        read, read_by = x.to(dtype), weight.to(dtype)
        routines: list[Callable[[], Tensor]] = [
            lambda: read @ read_by.T,
            lambda: frozen_product(x, weight, precision=dtype),
        ]
        best = float("inf")
        for routine in routines:
            taken = []
            for _ in range(30):
                begin = time.thread_time()
                for _ in range(5):
                    routine()
                taken.append(time.thread_time() - begin)
            best = min(best, statistics.median(taken) / 5)
        return 2 * x.numel() * len(weight) / best
