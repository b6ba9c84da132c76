"""What a query is, for each kind of task."""

from whet.tasks.language import MODES

__all__ = ["MODES"]
