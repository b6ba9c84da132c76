"""Examples on disk with their embeddings: reading them from files, embedding, storing, searching."""

from whet.memory.adapters import AdapterCache, CachedAdapter, Provenance
from whet.memory.adding import Added
from whet.memory.base import Embedder
from whet.memory.chunking import Chunk, chunk_text
from whet.memory.embedders import HiddenStateEmbedder, SentenceEmbedder, load_embedder
from whet.memory.forgetting import Forgotten, forget
from whet.memory.readers import read_files, read_jsonl, read_parquet
from whet.memory.search import Candidates
from whet.memory.store import Memory

__all__ = [
    "AdapterCache",
    "Added",
    "CachedAdapter",
    "Candidates",
    "Chunk",
    "Embedder",
    "Forgotten",
    "HiddenStateEmbedder",
    "Memory",
    "Provenance",
    "SentenceEmbedder",
    "chunk_text",
    "forget",
    "load_embedder",
    "read_files",
    "read_jsonl",
    "read_parquet",
]
