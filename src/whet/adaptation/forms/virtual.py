"""Virtual tokens: what each sequence comes after, though nobody wrote it.

In a causal model a token looks back only. So all that a sequence sees of what comes before it are keys and values in
each block, and virtual tokens are no more than a cache that holds some from the start. The model counts positions from
the end of its cache and returns states of the real tokens alone, with or without adapters, in training and generation.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from transformers import Cache, DynamicCache

from whet.adaptation.forms.files import match
from whet.adaptation.layout import Layout
from whet.errors import AdapterError, InputError, ModelError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from whet.adaptation.forms.base import Active
    from whet.adaptation.routing import Routing

KeysValues = Sequence[tuple["Tensor", "Tensor"]]
"""Keys and values of each block, `(sequences, heads, tokens, size)`."""


class _Seen(DynamicCache):  # type: ignore[misc]
    """Remembers the keys and values of one pass; a block may be computed again on the way back, and nothing grows."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, tuple[Tensor, Tensor]] = {}

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any) -> tuple[Tensor, Tensor]:
        self.found[layer_idx] = key_states, value_states
        return key_states, value_states


class _Ahead(DynamicCache):  # type: ignore[misc]
    """Holds keys and values for one pass, to which nothing is added, for the same reason."""

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any) -> tuple[Tensor, Tensor]:
        held = self.layers[layer_idx]
        return torch.cat([held.keys, key_states], dim=2), torch.cat([held.values, value_states], dim=2)


def words(module: nn.Module, count: int, generator: Generator) -> Tensor:
    """Embeddings `(count, width)` of tokens drawn from the vocabulary, each as likely as any other."""
    embedding: Any = module.get_input_embeddings()  # type: ignore[operator]
    ids = torch.randint(len(embedding.weight), (count,), generator=generator)
    with torch.no_grad():
        drawn: Tensor = embedding(ids.to(embedding.weight.device))
    return drawn.float()


def read(module: nn.Module, embeddings: Tensor) -> KeysValues:
    """Keys and values that the frozen model makes of sequences of embeddings, `(sequences, tokens, width)`."""
    backbone: Any = module.base_model
    length, seen = embeddings.shape[1], _Seen()
    later = torch.full((length, length), -torch.inf, dtype=backbone.dtype, device=embeddings.device).triu(1)
    # `forward`, since the hooks are for what comes after; with a mask, since these are no sequences of the batch
    backbone.forward(
        inputs_embeds=embeddings.to(backbone.dtype),
        attention_mask=later[None, None],
        past_key_values=seen,
        use_cache=False,
    )
    return [seen.found[block] for block in sorted(seen.found)]


def probe(module: nn.Module, count: int) -> KeysValues:
    """What the model keeps of one sequence of `count` tokens.

    Raises:
        InputError: `count` leaves no room in the context.
        ModelError: it is no language model with keys and values in each block.
    """
    config: Any = getattr(module, "config", None)
    blocks, context = (int(getattr(config, name, 0)) for name in ("num_hidden_layers", "max_position_embeddings"))
    kept: KeysValues = []
    if blocks and context:
        if count >= context:
            raise InputError(
                f"num_virtual_tokens={count} leaves no room for text in the context of {context} tokens; give fewer."
            )
        with torch.no_grad():
            kept = read(module, words(module, count, torch.Generator())[None])
    if not kept or len(kept) != blocks:
        raise ModelError(
            f"{type(module).__name__} does not keep keys and values in each of its blocks, so that virtual tokens "
            "cannot be put before its text; use another form of adapter, such as LoRA."
        )
    return kept


@contextmanager
def preceded(module: nn.Module, count: int, active: Active, states: Callable[[], KeysValues]) -> Iterator[None]:
    """Within this block each sequence comes after `count` virtual tokens of its slot, and the context is so much less.

    A slot may have any number of sequences: rows of a batch, or stretches of a packed row, which begin where positions
    are 0 (and there is no mask). Callers know nothing of the virtual tokens: the positions and masks `(sequences,
    tokens)` that they give are those of the real tokens. A cache comes back with both.

    Args:
        module: a causal language model.
        count: virtual tokens.
        active: the slots.
        states: what they hold now, for each slot.
    """
    backbone: Any = module.base_model
    config: Any = module.config

    def put_ahead(_: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if active.routing is None:
            return args, given
        changed = dict(given)
        positions, mask, cache = (given.get(name) for name in ("position_ids", "attention_mask", "past_key_values"))
        if positions is not None:
            changed["position_ids"] = positions + count
        if mask is not None:
            changed["attention_mask"] = torch.nn.functional.pad(mask, (count, 0), value=1)
        if cache is None or not cache.get_seq_length():
            ids = args[0] if args else given.get("input_ids")
            rows, tokens = (given["inputs_embeds"] if ids is None else ids).shape[:2]
            begins = [row * tokens for row in range(rows)]
            if rows == 1 and positions is not None and mask is None:
                begins = (positions[0] == 0).nonzero()[:, 0].tolist() or begins
            held = _of_sequences(states(), _owners(active.routing.of(rows * tokens), begins), packed=rows == 1)
            changed["past_key_values"] = _filled(cache, held, config, grows=given.get("use_cache") is not False)
        return args, changed

    handle = backbone.register_forward_pre_hook(put_ahead, with_kwargs=True)
    config.max_position_embeddings -= count
    try:
        yield
    finally:
        config.max_position_embeddings += count
        handle.remove()


def settings(module: nn.Module, kind: str, count: int, *, width: int, heads: int) -> dict[str, Any]:
    """What PEFT wants to know of an adapter of virtual tokens."""
    config: Any = module.config
    return {
        "peft_type": kind,
        "num_virtual_tokens": count,
        "token_dim": width,
        "num_transformer_submodules": 1,
        "num_attention_heads": heads,
        "num_layers": config.num_hidden_layers,
    }


def from_peft(settings: Mapping[str, Any], weights: Mapping[str, Tensor], kind: str, shape: tuple[int, ...]) -> Tensor:
    """The one tensor of a PEFT adapter of virtual tokens.

    Raises:
        AdapterError: it is of another kind, or of another shape.
    """
    if settings.get("peft_type") != kind:
        raise AdapterError(
            f"an adapter of type {settings.get('peft_type')!r} cannot be used as {kind}; give the form that it was "
            "saved from."
        )
    name = "prompt_embeddings"
    return match(Layout({name: shape}), {name: name}, weights)[name]


def _owners(routing: Routing, begins: Sequence[int]) -> list[int]:
    """Place of the slot of each sequence, by the row at which it begins."""
    ends = list(accumulate(routing.rows))
    return [bisect_right(ends, begin) for begin in begins]


def _of_sequences(states: KeysValues, owners: list[int], *, packed: bool) -> KeysValues:
    """Keys and values for each sequence from those of the slots; those of a packed batch lie end to end."""
    if owners != list(range(len(states[0][0]))):
        states = [(keys[owners], values[owners]) for keys, values in states]
    if not packed:
        return states
    return [
        (keys.transpose(0, 1).flatten(1, 2)[None], values.transpose(0, 1).flatten(1, 2)[None])
        for keys, values in states
    ]


def _filled(cache: Cache | None, states: KeysValues, config: Any, *, grows: bool) -> Cache:
    """The cache with the states in; a new one if there is none, which takes in more only if it `grows`."""
    if cache is None:
        cache = DynamicCache(config=config) if grows else _Ahead(states)
        if not grows:
            return cache
    for block, (keys, values) in enumerate(states):
        cache.update(keys, values, block)
    return cache
