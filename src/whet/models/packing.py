"""Reading several sequences in one forward pass, end to end and without padding where the model allows it.

Everything in a transformer but attention looks at one token at a time. So sequences of any lengths can lie end to end
in one row: positions start again at each, and attention is computed for each by itself. Models whose attention cannot
be replaced, or which mix tokens elsewhere, read the sequences as the rows of a padded batch instead; since they are
causal, padding on the right changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from whet.errors import InputError
from whet.models.prefix import find_blocks, replaced_forward, starting_at, stopping_before

if TYPE_CHECKING:
    from torch import Tensor, nn

    from whet.models.fused import Forwards
    from whet.models.language import LanguageModel


@dataclass(frozen=True)
class Batch:
    """Sequences as the model reads them.

    Attributes:
        ids: `(1, all tokens)` when packed, else `(sequences, longest)`.
        lengths: tokens of each sequence.
        packed: whether they lie end to end.
    """

    ids: Tensor
    lengths: tuple[int, ...]
    packed: bool

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows that each sequence takes in the flattened batch, padding included."""
        return self.lengths if self.packed else (self.ids.shape[1],) * len(self.lengths)


class Reader:
    """Reads batches of sequences with a language model.

    Args:
        model: the model, with or without hooks on its modules.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.backbone: Any = model.module.base_model

    def batch(self, sequences: Sequence[Sequence[int]]) -> Batch:
        """Token ids of at least one sequence, none of them empty, laid out for one pass.

        Raises:
            InputError: there is no sequence, or one is empty or longer than the context.
        """
        import torch

        lengths = tuple(len(ids) for ids in sequences)
        if not lengths or min(lengths) < 1 or max(lengths) > self.model.context:
            raise InputError(
                f"sequences of {list(lengths)} tokens cannot be read: give at least one, each of 1 to "
                f"{self.model.context} tokens (the context of {self.model.name!r})."
            )
        if self.packs:
            ids = torch.tensor([[token for row in sequences for token in row]], device=self.model.device)
        else:
            longest = max(lengths)
            ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in sequences], device=self.model.device)
        return Batch(ids, lengths, self.packs)

    def hidden(self, batch: Batch, *, prefix: Tensor | None = None, block: int = 0) -> Tensor:
        """Last hidden states of all sequences, end to end and without padding: `(all tokens, width)`.

        Args:
            batch: the sequences.
            prefix: what `prefix(batch, block)` made of them; the pass then starts at that block.
            block: number of the block that `prefix` is for.
        """
        if prefix is None:
            return self._unpadded(self._states(batch), batch)
        with starting_at(self.blocks, block, self._padded(prefix, batch)):
            return self._unpadded(self._states(batch), batch)

    def prefix(self, batch: Batch, block: int) -> Tensor:
        """The hidden states that block number `block` reads, end to end: `(all tokens, width)`."""
        with stopping_before(self.blocks[block]) as found:
            self._states(batch)
        return self._unpadded(found[0], batch)

    @contextmanager
    def checkpointing(self, batch: Batch) -> Iterator[None]:
        """A pass within this block of code, there and back, keeps what enters each block only.

        What happens inside the blocks is computed again on the way back (Chen et al. 2016, arXiv 1604.06174).
        """
        from torch.utils.checkpoint import checkpoint

        with ExitStack() as stack:
            for block in self.blocks:
                forward = partial(checkpoint, block.forward, use_reentrant=False)
                stack.enter_context(replaced_forward(block, forward))
            if batch.packed:
                stack.enter_context(self._packing(batch.lengths))
            yield

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits `(n, V)` of hidden states `(n, width)`, with all that the model does to them."""
        from torch import nn
        from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

        # the backbone gives way to what it has found: its hooks have done their work
        parts = self.model.module._modules
        place = self.model.module.base_model_prefix
        output = BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden[None])
        stand_in: Any = nn.Module()
        stand_in.forward = lambda *_, **__: output
        parts[place] = stand_in
        try:
            logits: Tensor = self.model.module(self._two_tokens, use_cache=False).logits[0]
        finally:
            parts[place] = self.backbone
        return logits

    @property
    def output(self) -> tuple[Tensor, Tensor | None] | None:
        """Output matrix `(V, width)` and bias if the logits are that linear map of the hidden states, else None.

        None also while the matrix itself is learnt, for then its gradient is wanted.
        """
        head = self.model.module.get_output_embeddings()
        if not self._plain_output or head.weight.requires_grad:
            return None
        return head.weight, getattr(head, "bias", None)

    @cached_property
    def _plain_output(self) -> bool:
        """Whether the model does no more to the hidden states than its output matrix says."""
        import torch

        head = self.model.module.get_output_embeddings()
        if getattr(head, "weight", None) is None:
            return False
        with torch.inference_mode():
            hidden = torch.linspace(-3, 3, self.model.width * 2, device=self.model.device, dtype=head.weight.dtype)
            hidden = hidden.view(2, -1)
            plain = torch.nn.functional.linear(hidden, head.weight, getattr(head, "bias", None))
            return torch.equal(plain, self.logits(hidden))

    @cached_property
    def packs(self) -> bool:
        """Whether sequences can lie end to end: seen by reading two of them both ways."""
        import torch

        module = self.model.module
        if not getattr(module, "_can_set_attn_implementation", lambda: False)():
            return False
        one, two = [0, 1, 2, 3, 1], [0, 3, 1, 2]
        ids = torch.tensor([[*one, *two]], device=self.model.device)
        with torch.inference_mode():
            try:
                together = self.hidden(Batch(ids, (len(one), len(two)), packed=True))
            except (NotImplementedError, TypeError, ValueError, RuntimeError, IndexError):
                return False
            apart = [
                self.hidden(Batch(torch.tensor([row], device=self.model.device), (len(row),), packed=False))
                for row in (one, two)
            ]
        return bool(torch.allclose(together, torch.cat(apart), rtol=1e-3, atol=1e-3))

    @cached_property
    def _fused(self) -> Forwards:
        from whet.models.fused import find_fused

        return find_fused(self.backbone)

    @cached_property
    def blocks(self) -> nn.ModuleList:
        """The model's transformer blocks."""
        return find_blocks(self.backbone)

    def _states(self, batch: Batch) -> Tensor:
        import torch

        if not batch.packed:
            return self.backbone(batch.ids, use_cache=False).last_hidden_state  # type: ignore[no-any-return]
        with self._packing(batch.lengths):
            positions = torch.cat([torch.arange(n, device=batch.ids.device) for n in batch.lengths])
            return self.backbone(  # type: ignore[no-any-return]
                batch.ids, position_ids=positions[None], use_cache=False
            ).last_hidden_state

    def _unpadded(self, states: Tensor, batch: Batch) -> Tensor:
        import torch

        if batch.packed:
            return states[0]
        return torch.cat([row[:length] for row, length in zip(states, batch.lengths, strict=True)])

    def _padded(self, states: Tensor, batch: Batch) -> Tensor:
        from torch.nn.utils.rnn import pad_sequence

        return states[None] if batch.packed else pad_sequence(list(states.split(batch.lengths)), batch_first=True)

    @property
    def _two_tokens(self) -> Tensor:
        import torch

        return torch.zeros(1, 2, dtype=torch.long, device=self.model.device)

    @contextmanager
    def _packing(self, lengths: tuple[int, ...]) -> Iterator[None]:
        from whet.models.attention import NAME, register
        from whet.models.fused import using_forwards

        config = self.backbone.config
        before, outer = config._attn_implementation, getattr(config, "whet_lengths", None)
        config.whet_lengths = lengths  # not a context variable: on a GPU the way back runs in another thread
        register()
        config._attn_implementation = NAME
        try:
            with using_forwards(self._fused):
                yield
        finally:
            config._attn_implementation = before
            config.whet_lengths = outer
