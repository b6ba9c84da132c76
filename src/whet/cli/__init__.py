"""The `whet` command: one file a verb, registered in `app.py`. Nothing heavy is imported before a verb needs it."""

from whet.cli.app import main

__all__ = ["main"]
