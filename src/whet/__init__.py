"""whet sharpens a language model on the question in front of it."""

from __future__ import annotations
