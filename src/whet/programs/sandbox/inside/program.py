"""Running a program in a process that is locked already, and putting its answer into words."""

from __future__ import annotations

import json
import os
import sys
from types import CodeType, ModuleType
from typing import Any, NoReturn

from .kinds import Kind

_FILE = "<program>"
_MESSAGE = 500
"""Characters of an error's message that are kept."""


def answer(request: bytes, channel: int, result_bytes: int) -> NoReturn:
    """Run the program of a request, write its answer to a descriptor, and end the process.

    Args:
        request: JSON with `source`, `function` and `arguments`.
        channel: where one JSON object is written: `{"value": ...}`, or `error`, `message` and `line`.
        result_bytes: the largest value.
    """
    try:
        try:
            reply = _run(**json.loads(request), result_bytes=result_bytes)
        except MemoryError:
            reply = _NO_MEMORY  # nothing can be made any more
        while reply:
            reply = reply[os.write(channel, reply) :]
    finally:
        os._exit(0)


def _run(source: str, function: str, arguments: list[Any], result_bytes: int) -> bytes:
    try:
        code = compile(source, _FILE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, RecursionError) as error:
        return _failure(Kind.SYNTAX, _words(error), getattr(error, "lineno", None))
    try:
        value = _call(code, function, arguments)
        sys.stdout.flush()
    except MemoryError as error:
        return _failure(Kind.MEMORY, _words(error), _line(error))
    except PermissionError as error:
        return _failure(Kind.FORBIDDEN, _words(error), _line(error))
    except BaseException as error:  # noqa: BLE001 - a program may raise anything
        return _failure(Kind.EXCEPTION, _words(error), _line(error))
    return _value(value, result_bytes)


def _call(code: CodeType, function: str, arguments: list[Any]) -> Any:
    module = sys.modules["program"] = ModuleType("program")
    exec(code, module.__dict__)
    if not hasattr(module, function):
        raise NameError(f"the program defines no {function!r}")
    return getattr(module, function)(*arguments)


def _value(value: Any, result_bytes: int) -> bytes:
    """The message that carries a value, with arrays of numpy as lists."""
    try:
        text = json.dumps(value, allow_nan=False, default=_plain).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        return _failure(Kind.BAD_RESULT, f"the value is not JSON: {_words(error)}")
    if len(text) > result_bytes:
        return _failure(Kind.BAD_RESULT, f"the value has {len(text)} bytes of at most {result_bytes}")
    return b'{"value": ' + text + b"}"


def _plain(value: Any) -> Any:
    if not hasattr(value, "tolist"):
        raise TypeError(f"{type(value).__name__} is no JSON")
    return value.tolist()


def _failure(kind: Kind, message: str, line: int | None = None) -> bytes:
    return json.dumps({"error": kind, "message": message[:_MESSAGE], "line": line}).encode("ascii")


def _words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    except BaseException:  # noqa: BLE001 - the program may have written __str__
        return type(error).__name__


def _line(error: BaseException) -> int | None:
    """Line of the program where an exception arose."""
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == _FILE:
            line = step.tb_lineno
        step = step.tb_next
    return line


_NO_MEMORY = _failure(Kind.MEMORY, "MemoryError")
