"""A language model behind an address that speaks the OpenAI protocol."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from whet.errors import InputError, MissingExtraError, ModelError
from whet.programs.sandbox.outcome import clean

if TYPE_CHECKING:
    from httpx2 import URL, Response

LARGEST_ANSWER = 4 * 2**20
"""Bytes of a response that are read."""
_SETTINGS: Mapping[str, Any] = {"temperature": 0.8, "max_tokens": 2048}
_LONGEST_PAUSE = 60.0
"""Seconds that a server can make a request wait before it is tried again."""


class ServerWriter:
    """Asks `POST {address}/chat/completions` once for each answer, some at the same time.

    Too many requests (status 429), errors of the server (5xx), a lost connection, a response that takes too long and
    one that is not of the protocol are tried again, after a pause that doubles or the one that the server asks for.
    Threads may share a writer. A context manager; outside of `with`, `close` ends its connections.

    Args:
        address: such as `http://localhost:8000/v1`.
        model: its name there.
        settings: what else each request says, in the protocol's words; some models want other names or values.
        key_variable: environment variable that holds the key; if it is not set, none is sent.
        at_once: how many requests run at the same time.
        attempts: how often a request is sent before the writer gives up.
        pause: seconds before the second attempt.
        seconds: an attempt is given up when nothing comes for so long, or when its response goes on for longer.

    Raises:
        InputError: the address is no URL to add a path to, the settings are not JSON, the key cannot be sent, or a
            number is out of range.
        MissingExtraError: httpx2 is not installed.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        settings: Mapping[str, Any] = _SETTINGS,
        key_variable: str = "OPENAI_API_KEY",
        at_once: int = 4,
        attempts: int = 4,
        pause: float = 1.0,
        seconds: float = 120.0,
    ) -> None:
        try:
            import httpx2
        except ImportError as error:
            raise MissingExtraError("Asking a server needs httpx2: pip install 'whet[arc]'.") from error
        if at_once < 1 or attempts < 1 or not pause >= 0 or not 0 < seconds < math.inf:
            raise InputError(
                f"at_once={at_once}, attempts={attempts}, pause={pause}, seconds={seconds}: give at least one request "
                "at once, one attempt and a positive time."
            )
        try:
            json.dumps(dict(settings), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"settings={settings!r} are not JSON: {error}; give numbers, strings and lists."
            ) from error
        self.model = model
        self._url = _endpoint(address)
        self._settings = dict(settings)
        self._key_variable = key_variable
        self._key = os.environ.get(key_variable, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise InputError(f"The key in {key_variable} has characters that no key has; set it again.")
        self._at_once, self._attempts, self._pause, self._seconds = at_once, attempts, pause, seconds
        # a compressed response could be small on the way and huge in memory
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._client = httpx2.Client(headers=headers, timeout=seconds)

    def write(self, prompts: Sequence[str], n: int, seed: int) -> list[list[str]]:
        """See `Writer`; answer i to a prompt is asked for with seed + i, which a server may ignore.

        Raises:
            ModelError: the server refuses, or every attempt at a request failed.
        """
        requests = [(prompt, seed + draw) for prompt in prompts for draw in range(n)]
        with ThreadPoolExecutor(self._at_once) as pool:
            answers = list(pool.map(lambda request: self._answer(*request), requests))
        return [answers[begin : begin + n] for begin in range(0, len(answers), n)]

    def close(self) -> None:
        """Close the connections; more than once is harmless."""
        self._client.close()

    def __enter__(self) -> Self:
        """The writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _answer(self, prompt: str, seed: int) -> str:
        messages = [{"role": "user", "content": prompt}]
        body = json.dumps({**self._settings, "model": self.model, "messages": messages, "seed": seed}).encode()
        for attempt in range(self._attempts):
            try:
                return self._ask(body)
            except _PassingError as error:
                last = error
            if attempt + 1 < self._attempts:
                pause = self._pause * 2**attempt if last.pause is None else last.pause
                time.sleep(min(pause, _LONGEST_PAUSE))
        raise ModelError(
            f"The server at {self._url} gave no answer in {self._attempts} attempts; the last: {last}. "
            "See whether the address is right and the server runs, or ask it for less at once."
        )

    def _ask(self, body: bytes) -> str:
        """Send a request once.

        Raises:
            _PassingError: another attempt may be luckier.
            ModelError: it will not.
        """
        import httpx2

        begin = time.monotonic()
        try:
            with self._client.stream("POST", self._url, content=body) as response:
                content = _read(response, lambda: time.monotonic() - begin < self._seconds)
        except httpx2.TimeoutException as error:
            raise _PassingError(f"no answer within {self._seconds:g} s") from error
        except httpx2.TransportError as error:
            raise _PassingError(f"{type(error).__name__}: {self._safe(str(error))}") from error
        status = response.status_code
        if status == 200:
            return _content(content)
        words = f"status {status}, {self._safe(_complaint(content))}"
        if status in (408, 429) or status >= 500:
            raise _PassingError(words, _asked_pause(response.headers.get("Retry-After", "")))
        raise ModelError(f"The server at {self._url} refuses: {words}. {self._advice(status)}")

    def _safe(self, words: str) -> str:
        """What a server said, for people: short, without control characters and without the key."""
        return clean(words.replace(self._key, "(the key)") if self._key else words, 300)

    def _advice(self, status: int) -> str:
        if status in (401, 403):
            have = "" if self._key else ", which is not set"
            return f"Put a valid key into the environment variable {self._key_variable}{have}."
        if status in (400, 422):
            return f"Give settings that this model takes; {sorted(self._settings)} were sent."
        return f"Check the address, which mostly ends in /v1, and the model's name, {self.model!r}."


class _PassingError(Exception):
    """A request failed in a way that may pass.

    Attributes:
        pause: seconds to wait, if the server says so.
    """

    def __init__(self, words: str, pause: float | None = None) -> None:
        super().__init__(words)
        self.pause = pause


def _endpoint(address: str) -> URL:
    import httpx2

    try:
        url = httpx2.URL(address.rstrip("/") + "/chat/completions")
        plain = url.scheme in ("http", "https") and url.host and not (url.userinfo or url.query or url.fragment)
    except httpx2.InvalidURL:
        plain = False
    if not plain:  # the message has no part of the address: there may be a password in it
        raise InputError(
            "The address must be http:// or https:// with a host and a path and nothing else, such as "
            "http://localhost:8000/v1; a key belongs into the environment."
        )
    return url


def _read(response: Response, in_time: Callable[[], bool]) -> bytes:
    """The body of a response.

    Raises:
        _PassingError: it takes too long.
        ModelError: it is too large.
    """
    content = bytearray()
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            raise ModelError(
                f"The server at {response.url} sends more than {LARGEST_ANSWER} bytes for one answer; "
                "check the address, or give a lower max_tokens in settings."
            )
        if not in_time():
            raise _PassingError("its answer does not end in time")
    return bytes(content)


def _content(content: bytes) -> str:
    """The text in a response; empty if the model said nothing."""
    match _json(content):
        case {"choices": [{"message": {"content": str() | None as text}}, *_]}:
            return text or ""
    raise _PassingError("its answer is not that of chat completions")


def _complaint(content: bytes) -> str:
    """What an error response says."""
    match _json(content):
        case {"error": {"message": str(words)}} | {"error": str(words)} | {"message": str(words)}:
            return words
    return "without a reason"


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _asked_pause(header: str) -> float | None:
    """Seconds of a Retry-After header; dates are left aside."""
    return float(header) if header.isdecimal() and header.isascii() else None
