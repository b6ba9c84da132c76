"""What tasks are solved with."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from whet.errors import ModelError

if TYPE_CHECKING:
    from whet.tasks.arc.language.choice import ModelChoice
    from whet.tasks.arc.transduction.practice import Practice

ARC_NET = Path(__file__).parents[3] / "models" / "arc_net" / "model.safetensors"
"""The net that comes with whet."""


@dataclass(frozen=True)
class Settings:
    """What tasks are solved with; it can be sent to another process.

    Attributes:
        ways: names in `WAYS`, in the order in which they are tried.
        net: file of the net that practises on each task.
        practice: its first stage of practice, `Practice()` if None; each further one has twice as many steps.
        views: in how many views the net, and the language model, answer.
        server: address of a server with the OpenAI protocol, and the name of the model there that writes programs.
        model: the language model that practises on each task.
    """

    ways: tuple[str, ...] = ("induction", "transduction")
    net: Path = ARC_NET
    practice: Practice | None = None
    views: int = 16
    server: tuple[str, str] | None = None
    model: ModelChoice | None = None

    def words(self, seconds: float) -> str:
        """What a result depends on, apart from the task: the ways, the time, and what they work with.

        Raises:
            ModelError: the net cannot be read.
        """
        parts = [", ".join(self.ways), f"{seconds:g} seconds"]
        if "transduction" in self.ways:
            parts.append(f"net {self._mark()}")
        if "synthesis" in self.ways and self.server is not None:
            parts.append(f"{self.server[1]} at {self.server[0]}")
        if "language" in self.ways and self.model is not None:
            parts.append(f"model {self.model.name} ({self.model.fingerprint[:8]}) in {self.model.serialisation}")
        return "; ".join(parts)

    def _mark(self) -> str:
        """Another one for each net."""
        try:
            return blake2b(self.net.read_bytes(), digest_size=4).hexdigest()
        except OSError as error:
            raise ModelError(f"{self.net} cannot be read: {error.strerror}; check the path.") from error
