"""What a pass through a causal language model costs, from its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whet.models.language import LanguageModel


def forward_flops(model: LanguageModel, tokens: int, before: int = 0) -> float:
    """Floating-point operations of a forward pass over `tokens` tokens that attend to `before` earlier ones.

    2 · (weights of the matrices) · tokens, plus 4 · layers · width · (pairs that attend) for the scores and their
    weighted sum (Kaplan et al. 2020, arXiv 2001.08361, §2.1). A look-up of an embedding costs nothing; the output
    matrix counts, also where it is tied to the embedding. A backward pass through frozen weights costs as much as a
    forward pass (the gradient of the activations only), through trained weights twice as much.
    """
    pairs = tokens * before + tokens * (tokens + 1) / 2
    return 2.0 * model.matrix_parameters * tokens + 4.0 * model.layers * model.width * pairs
