"""A language model for ARC that is known to the last weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from whet.tasks.arc.language import minimal_tokenizer

OUTPUT, END = 12, 13


def save_writer(folder: Path, colour: int, *, context: int = 128, certain: float = 8.0) -> Path:
    """A Llama whose output depends on the last token alone: whatever it is asked, it writes this colour and ends."""
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=context,
    )
    module: Any = LlamaForCausalLM(config)
    module.load_state_dict({name: torch.zeros_like(value) for name, value in module.state_dict().items()})
    table = module.lm_head.weight.data  # after the norm a token is four times its row of the unit matrix
    table[colour, OUTPUT] = table[END, colour] = certain
    module.model.embed_tokens.weight.data = torch.eye(16)
    module.model.norm.weight.data.fill_(1.0)
    module.save_pretrained(folder)
    minimal_tokenizer().save_pretrained(folder)
    return folder
