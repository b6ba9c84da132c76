"""Asking the model: how likely a text is, how a prompt goes on, and which of many answers to give."""

from whet.decoding.depth_first import Continuation, DepthFirst, Found
from whet.decoding.generate import Finished, Generated, Sampling, generate, generate_many, token_probabilities
from whet.decoding.score import Score, score_many, score_text, token_nats
from whet.decoding.votes import by_score, hierarchical, majority

__all__ = [
    "Continuation",
    "DepthFirst",
    "Finished",
    "Found",
    "Generated",
    "Sampling",
    "Score",
    "by_score",
    "generate",
    "generate_many",
    "hierarchical",
    "majority",
    "score_many",
    "score_text",
    "token_nats",
    "token_probabilities",
]
