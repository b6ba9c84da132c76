"""The demo's text, which every Python has: sources of the standard library and the help topics of pydoc.

What is asked about never stands in the memory: whole modules and whole topics are held out, every topic that shares a
long line with a held-out one is left out, and a piece of a held-out module that resembles the memory line by line, as
those of `posixpath` and `ntpath` do, is not asked about. `whet-base` was not trained on any of these modules, nor
on any topic.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from whet.errors import InputError, MissingExtraError
from whet.evaluation.language import Text
from whet.evaluation.run import choose_texts
from whet.memory import Chunk, chunk_text
from whet.types import Example

HELD_OUT_MODULES = (
    "configparser", "dataclasses", "lzma", "operator", "posixpath",
    "shelve", "shutil", "statistics", "threading", "typing",
)  # fmt: skip
HELD_OUT_TOPICS = (
    "assert", "booleans", "calls", "dict", "exprlists", "global",
    "import", "objects", "power", "slicings", "specialattrs", "strings",
)  # fmt: skip
MEMORY_MODULES = (
    "_collections_abc", "_compression", "abc", "bz2", "cmd", "concurrent", "copy", "copyreg", "dbm", "enum", "filecmp",
    "fnmatch", "fractions", "functools", "genericpath", "graphlib", "heapq", "json", "linecache", "netrc", "ntpath",
    "numbers", "os", "pickle", "pprint", "queue", "random", "reprlib", "sched", "secrets", "selectors", "stat",
    "string", "struct", "tempfile", "types",
)  # fmt: skip
"""Modules and packages near to the held-out ones; those that this Python lacks are passed over."""

CODE, HELP = "source code", "help topics"
"""The two kinds of queries."""

ARC_TASKS = ("0692e18c", "506d28a5", "66e6c45b", "b0722778")
"""Chosen for the demo, small and of different kinds: whet had solved the first three of them, and not the last."""

_QUERY_CHARS = 1200
_LONG_LINE = 30
"""Characters from which on a line is no commonplace."""

_MOST_KNOWN = 0.25
"""A piece of which a larger share of the long lines is in the memory is not asked about."""


@dataclass(frozen=True)
class DemoSize:
    """How much the demo does.

    Attributes:
        memory_modules: sources in the memory.
        memory_topics: help topics in the memory, in alphabetical order; None for all that are not held out.
        modules, topics: what is held out and asked about.
        queries: of each held-out module.
        candidates: proposed by the memory for a query.
        picks: gradient steps of each trained method.
        pairs: pairs of similar queries, one of each of the first held-out modules.
        tokens: length of the completion that is shown.
        arc_set, arc_tasks: which tasks of ARC are solved.
        arc_seconds: wall-clock time a task; the first run spends some of it on compiling.
    """

    memory_modules: tuple[str, ...] = MEMORY_MODULES
    memory_topics: int | None = None
    modules: tuple[str, ...] = HELD_OUT_MODULES
    topics: tuple[str, ...] = HELD_OUT_TOPICS
    queries: int = 3
    candidates: int = 200
    picks: int = 20
    pairs: int = 10
    tokens: int = 48
    arc_set: str = "arc1-evaluation"
    arc_tasks: tuple[str, ...] = ARC_TASKS
    arc_seconds: float = 30.0


@dataclass(frozen=True)
class Growth:
    """A prompt that grows while somebody types: two similar queries, and how the text really goes on.

    Attributes:
        place: the module that it is from, and the line.
        first: the earlier prompt.
        second: the later one; it begins with the earlier.
        target: what follows the later one.
    """

    place: str
    first: str
    second: str
    target: str


def memory_examples(size: DemoSize) -> list[Example]:
    """What the memory is made of, cut at sensible borders, with `path` and `line`.

    Raises:
        InputError: this Python has no sources of its standard library.
        MissingExtraError: this Python has no `pydoc_data`.
    """
    texts = {path: text for name in size.memory_modules for path, text in _sources(name)}
    help_texts = _free_topics(size.topics)
    for name in sorted(help_texts)[: size.memory_topics]:
        texts[f"help/{name}"] = help_texts[name]
    return [
        Example(chunk.text, meta={"path": path, "line": chunk.line})
        for path, text in texts.items()
        for chunk in chunk_text(text)
    ]


def long_lines(texts: Iterable[str]) -> list[str]:
    """The lines that are no commonplace, such as a lone `else:` is."""
    return [line for text in texts for raw in text.split("\n") if len(line := raw.strip()) >= _LONG_LINE]


def known_share(texts: Iterable[str], known: Collection[str]) -> float:
    """The share of the long lines of these texts that are among the `known` ones."""
    lines = long_lines(texts)
    return sum(line in known for line in lines) / max(1, len(lines))


def demo_queries(size: DemoSize, known: Collection[str]) -> tuple[list[Text], dict[str, set[str]]]:
    """The held-out texts, each under its module or under `help topics`, and the modules as one union.

    From each module some chunks of at most 1200 characters, chosen as `choose_texts` does; of each topic the beginning.

    Args:
        size: which and how many.
        known: long lines of the memory.

    Raises:
        InputError, MissingExtraError: as in `memory_examples`.
    """
    pieces = [
        Example(chunk.text, meta={"module": path})
        for name in size.modules
        for path, text in _sources(name)
        for chunk in _novel(text, known)
    ]
    code = choose_texts(pieces, limit=size.queries, max_chars=_QUERY_CHARS, group="module")
    topics = _topics()
    heads = [Example(topics[name], meta={"module": HELP}) for name in size.topics if name in topics]
    helps = choose_texts(heads, limit=len(heads), max_chars=_QUERY_CHARS, group="module")
    texts = [*code, *helps]
    return texts, {CODE: {text.group for text in code}}


def growing_prompts(size: DemoSize, known: Collection[str]) -> list[Growth]:
    """One pair of similar queries from each held-out module: its middle chunk, up to 60% and up to 75% of it.

    Args:
        size: which and how many.
        known: long lines of the memory.

    Raises:
        InputError: as in `memory_examples`.
    """
    pairs = []
    for name in size.modules[: size.pairs]:
        path, text = next(_sources(name))
        chunks = _novel(text, known)
        middle = chunks[len(chunks) // 2]
        first, second = (_line_end(middle.text, share) for share in (0.6, 0.75))
        pairs.append(Growth(f"{path}:{middle.line}", middle.text[:first], middle.text[:second], middle.text[second:]))
    return pairs


def from_the_middle(texts: Sequence[Text], groups: Collection[str]) -> list[Text]:
    """The texts of these groups: the middle one of the middle group, then those around it. A rule, not a choice."""
    members = [text for text in texts if text.group in groups]
    group = sorted(groups)[len(groups) // 2]
    middle = [place for place, text in enumerate(members) if text.group == group]
    centre = middle[len(middle) // 2]
    return [members[place] for place in sorted(range(len(members)), key=lambda place: (abs(place - centre), place))]


def place_of(text: Text) -> str:
    """Where a query of the source code stands, as `path:line`."""
    source = dict(_sources(text.group.removesuffix(".py")))[text.group]
    return f"{text.group}:{source[: source.index(text.text)].count(chr(10)) + 1}"


def _novel(text: str, known: Collection[str]) -> list[Chunk]:
    """The chunks of a held-out module that do not stand in the memory, or nearly so."""
    chunks = chunk_text(text, max_chars=_QUERY_CHARS)
    return [chunk for chunk in chunks if known_share([chunk.text], known) <= _MOST_KNOWN]


def _line_end(text: str, share: float) -> int:
    """The end of the line that this share of the text falls into, or the share itself if that line is the last."""
    at = round(share * len(text))
    end = text.find("\n", at) + 1
    return end if 0 < end < 0.9 * len(text) else at


def _sources(name: str) -> Iterator[tuple[str, str]]:
    """Path within the standard library and text, of a module or of every module of a package."""
    library = Path(sysconfig.get_path("stdlib"))
    if not (library / "os.py").is_file():
        raise InputError(
            f"this Python has no sources of its standard library in {library}, which the demo reads; "
            "install them, or use a Python that has them."
        )
    module = library / f"{name}.py"
    for file in [module] if module.is_file() else sorted((library / name).rglob("*.py")):
        yield file.relative_to(library).as_posix(), file.read_text(encoding="utf-8")


def _topics() -> Mapping[str, str]:
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise MissingExtraError(
            "this Python lacks `pydoc_data`, the texts behind help(), which the demo reads; "
            "install the complete standard library (on Debian the package libpython3-stdlib)."
        ) from error
    found: Mapping[str, str] = topics
    return found


def _free_topics(held_out: tuple[str, ...]) -> dict[str, str]:
    """Topics that are not held out and share no long line with one that is."""
    topics = _topics()
    barred = set(long_lines(topics[name] for name in held_out if name in topics))
    return {
        name: text
        for name, text in topics.items()
        if name not in held_out and not barred.intersection(long_lines([text]))
    }
