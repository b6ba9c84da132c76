"""The API reference as Markdown, from the docstrings: `python docs/make_reference.py` writes docs/selection_api.md."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import whet.selection


class Long:
    """Stands for a default that would fill lines."""

    def __repr__(self) -> str:
        return "…"


LONG = Long()
PAGE = Path(__file__).with_name("selection_api.md")


def reference(room: ModuleType) -> str:
    """Every public name of a room, with its signature and docstring, in alphabetical order."""
    ours = (n for n in room.__all__ if getattr(getattr(room, n), "__module__", "").startswith("whet"))
    names = sorted(ours, key=str.lower)
    parts = [f"# `{room.__name__}`", inspect.getdoc(room) or ""]
    for name in names:
        parts += section(name, getattr(room, name), 2)
    return "\n\n".join(part for part in parts if part) + "\n"


def section(name: str, thing: Any, level: int) -> list[str]:
    """A heading, the signature, the docstring as it is, and the public methods of a class."""
    parts = [f"{'#' * level} `{name}{signature(thing)}`", docstring(thing)]
    if inspect.isclass(thing):
        for key, member in sorted(vars(thing).items()):
            function = member.__func__ if isinstance(member, classmethod) else member
            if inspect.isfunction(function) and not key.startswith("_") and function.__doc__:
                parts += section(f"{name}.{key}", function, level + 1)
    return parts


def signature(thing: Any) -> str:
    """The parameters, without annotations: the docstring says what they are."""
    if inspect.isclass(thing) and getattr(thing, "_is_protocol", False):
        return ""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    kept = [p.replace(annotation=p.empty) for p in found.parameters.values() if p.name != "self"]
    kept = [p.replace(default=LONG) if len(repr(p.default)) > 60 else p for p in kept]
    return str(found.replace(parameters=kept, return_annotation=found.empty))


def docstring(thing: Any) -> str:
    """The docstring; its lists, equations and examples stay as they are laid out."""
    text = inspect.getdoc(thing) or ""
    head, _, rest = text.partition("\n\n")
    return f"{head}\n\n```text\n{rest}\n```" if rest else head


if __name__ == "__main__":
    PAGE.write_text(reference(whet.selection), encoding="utf-8")
