"""What came of a program, read from bytes that the program may have written itself."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from whet.programs.sandbox.inside.kinds import Kind

_DEPTH = 100
"""Lists and objects within each other; far fewer than the parser's recursion bears."""
_MESSAGE, _PRINTED = 500, 1000
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{1001}")
_NOT_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


@dataclass(frozen=True)
class Failure:
    """Why a program gave no value.

    Args:
        kind: the cause.
        message: the exception's type and words, or what the limit was; without control characters.
        line: of the program's source, from 1, where it is known.
    """

    kind: Kind
    message: str
    line: int | None = None


@dataclass(frozen=True)
class Outcome:
    """One run of a program.

    Args:
        value: what the function returned, as JSON gives it: tuples and arrays are lists, keys are strings. None if it
            failed. It is data of the program: its type and its size are checked, its truth is not.
        failure: None if a value came back.
        seconds: processor time of the program's process.
        printed: the first 1000 characters that it printed, without control characters.
    """

    value: Any
    failure: Failure | None
    seconds: float
    printed: str


def read_answer(answer: bytes) -> tuple[Any, Failure | None]:
    """The value or the failure that a program's one message tells.

    Whatever the bytes are, this takes time and memory in proportion to their number, and raises nothing.
    """
    try:
        message = _parse(answer)
    except (ValueError, RecursionError) as error:
        return None, Failure(Kind.BAD_RESULT, f"the answer is not JSON: {clean(str(error), _MESSAGE)}")
    match message:
        case {"value": value, **rest} if not rest:
            return value, None
        case {"error": str(kind), "message": str(words), "line": int() | None as line, **rest} if (
            kind in set(Kind) and not rest
        ):
            return None, Failure(Kind(kind), clean(words, _MESSAGE), line)
    return None, Failure(Kind.BAD_RESULT, "the answer is neither a value nor an error")


def read_printed(printed: bytes) -> str:
    """The beginning of what was printed."""
    return clean(printed[: 4 * _PRINTED].decode(errors="replace"), _PRINTED)


def clean(text: str, length: int) -> str:
    """The beginning of a text with every character escaped that a terminal might obey."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text[:length])


def _parse(answer: bytes) -> Any:
    """JSON whose strings can be encoded, whose numbers are finite and short and whose depth is bounded.

    Raises:
        ValueError: it is not that.
    """
    bare = _STRING.sub(b"", answer)
    if _LONG_NUMBER.search(bare):
        raise ValueError("a number has more than 1000 digits")
    if max(accumulate(map(_STEP.__getitem__, bare.translate(None, _NOT_BRACKETS))), default=0) > _DEPTH:
        raise ValueError(f"lists are nested more than {_DEPTH} deep")
    message = json.loads(answer.decode())
    json.dumps(message, allow_nan=False, ensure_ascii=False).encode()
    return message
