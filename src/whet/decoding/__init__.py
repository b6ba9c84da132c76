"""Asking the model: how likely a text is, and how a prompt goes on."""

from whet.decoding.generate import Finished, Generated, Sampling, generate, generate_many, token_probabilities
from whet.decoding.score import Score, score_many, score_text, token_nats

__all__ = [
    "Finished",
    "Generated",
    "Sampling",
    "Score",
    "generate",
    "generate_many",
    "score_many",
    "score_text",
    "token_nats",
    "token_probabilities",
]
