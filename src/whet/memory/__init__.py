"""Examples on disk with their embeddings: reading them from files, embedding, storing, searching."""

from whet.memory.adapter_merge import compress_lora, merge_lora, merge_weights
from whet.memory.adapter_records import AdapterRecord, Provenance
from whet.memory.adapter_thresholds import Thresholds, calibrate_thresholds
from whet.memory.adapters import AdapterCache, CachedAdapter, Lookup
from whet.memory.adding import Added
from whet.memory.base import Embedder
from whet.memory.chunking import Chunk, chunk_text
from whet.memory.embedders import HiddenStateEmbedder, SentenceEmbedder, load_embedder
from whet.memory.forgetting import Forgotten, forget
from whet.memory.readers import read_files, read_jsonl, read_parquet
from whet.memory.search import Candidates
from whet.memory.shelf import Shelf
from whet.memory.store import Memory

__all__ = [
    "AdapterCache",
    "AdapterRecord",
    "Added",
    "CachedAdapter",
    "Candidates",
    "Chunk",
    "Embedder",
    "Forgotten",
    "HiddenStateEmbedder",
    "Lookup",
    "Memory",
    "Provenance",
    "SentenceEmbedder",
    "Shelf",
    "Thresholds",
    "calibrate_thresholds",
    "chunk_text",
    "compress_lora",
    "forget",
    "load_embedder",
    "merge_lora",
    "merge_weights",
    "read_files",
    "read_jsonl",
    "read_parquet",
]
