"""Asking the model: how likely a text is, and how a prompt goes on."""

from whet.decoding.generate import Finished, Generated, Sampling, generate, token_probabilities
from whet.decoding.score import Score, score_text, token_nats

__all__ = [
    "Finished",
    "Generated",
    "Sampling",
    "Score",
    "generate",
    "score_text",
    "token_nats",
    "token_probabilities",
]
