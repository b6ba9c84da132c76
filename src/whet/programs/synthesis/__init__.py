"""Programs that a language model writes: it sees the pairs, writes Python, and mends what was wrong."""

from whet.programs.synthesis.server import ServerWriter
from whet.programs.synthesis.synthesise import synthesise
from whet.programs.synthesis.writers import LocalWriter, Writer

__all__ = ["LocalWriter", "ServerWriter", "Writer", "synthesise"]
