"""A writer behind an address, against a small server that speaks the protocol or breaks it."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from whet.errors import InputError, ModelError
from whet.programs.synthesis import ServerWriter, server

KEY = "sk-very-secret-0123"
Reply = Callable[["Asked"], tuple[int, Mapping[str, str], "bytes | Iterator[bytes]"]]


@dataclass(frozen=True)
class Asked:
    """A request: which it is from 0, its path, its headers and its body."""

    number: int
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Server:
    """A server on this machine that replies by a function, and what it was asked."""

    reply: Reply
    asked: list[Asked] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    asked = Asked(len(outer.asked), self.path, dict(self.headers), body)
                    outer.asked.append(asked)
                status, headers, content = outer.reply(asked)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for chunk in [content] if isinstance(content, bytes) else content:
                        self.wfile.write(chunk)
                except OSError:  # the writer has hung up
                    outer.ended.set()

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Reply], Server]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    servers: list[Server] = []

    def start(reply: Reply) -> Server:
        servers.append(Server(reply))
        return servers[-1]

    yield start
    for one in servers:
        one.http.shutdown()
        one.http.server_close()


def say(text: str | None) -> tuple[int, Mapping[str, str], bytes]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return 200, {"Content-Type": "application/json"}, json.dumps({"id": "1", "choices": [choice]}).encode()


def refuse(status: int, words: str = "no", **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    return status, headers, json.dumps({"error": {"message": words, "type": "error"}}).encode()


def echo(asked: Asked) -> tuple[int, Mapping[str, str], bytes]:
    return say(f"{asked.body['messages'][0]['content']} {asked.body['seed']}")


def write(at: Server, prompt: str = "a", **settings: Any) -> str:
    with ServerWriter(at.address, "tiny", **{"pause": 0, **settings}) as writer:
        return writer.write([prompt], 1, seed=0)[0][0]


def test_answers_stand_in_the_order_of_the_prompts(serve: Callable[[Reply], Server]) -> None:
    def late(asked: Asked) -> Any:
        time.sleep(0.02 * (asked.number % 3))
        return echo(asked)

    with ServerWriter(serve(late).address + "/", "tiny", at_once=3) as writer:
        answers = writer.write(["a", "b", "c"], 2, seed=7)
    assert answers == [[f"{prompt} {seed}" for seed in (7, 8)] for prompt in "abc"]


def test_a_request_is_one_of_the_protocol(serve: Callable[[Reply], Server]) -> None:
    at = serve(echo)
    write(at, "é\ud800", settings={"temperature": 0.1, "max_completion_tokens": 9, "model": "other"})
    (asked,) = at.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.body == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "é\ud800"}],
        "seed": 0,
        "temperature": 0.1,
        "max_completion_tokens": 9,
    }


def test_without_a_key_none_is_sent(serve: Callable[[Reply], Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    at = serve(echo)
    write(at)
    assert "Authorization" not in at.asked[0].headers


def test_the_key_is_that_of_the_variable_that_is_named(
    serve: Callable[[Reply], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", " other \n")
    at = serve(echo)
    write(at, key_variable="MY_KEY")
    assert at.asked[0].headers["Authorization"] == "Bearer other"


def test_silence_of_the_model_is_an_empty_answer(serve: Callable[[Reply], Server]) -> None:
    assert write(serve(lambda _: say(None))) == ""


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(serve: Callable[[Reply], Server], status: int) -> None:
    at = serve(lambda asked: echo(asked) if asked.number == 2 else refuse(status))
    assert write(at, attempts=3) == "a 0"
    assert len({json.dumps(asked.body) for asked in at.asked}) == 1


def test_it_waits_twice_as_long_each_time_or_as_the_server_says(
    serve: Callable[[Reply], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    headers = [
        {},
        {},
        {"Retry-After": "7"},
        {"Retry-After": "100000"},
        {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ]
    at = serve(lambda asked: refuse(429, **headers[asked.number]) if asked.number < 5 else echo(asked))
    writer = ServerWriter(at.address, "tiny", attempts=6, pause=0.5)
    monkeypatch.setattr(server.time, "sleep", waits.append)
    writer.write(["a"], 1, seed=0)
    assert waits == [0.5, 1.0, 7.0, 60.0, 8.0]
    waits.clear()
    at.asked.clear()
    with pytest.raises(ModelError, match="in 2 attempts"):
        ServerWriter(at.address, "tiny", attempts=2, pause=0.5).write(["a"], 1, seed=0)
    assert waits == [0.5]  # it does not wait to give up


def test_a_server_that_always_fails_is_given_up(serve: Callable[[Reply], Server]) -> None:
    at = serve(lambda _: refuse(429, "slow down"))
    with pytest.raises(ModelError, match=r"no answer in 3 attempts; the last: status 429, slow down\."):
        write(at, attempts=3)
    assert len(at.asked) == 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_told_at_once_and_never_shown(serve: Callable[[Reply], Server], status: int) -> None:
    at = serve(lambda _: refuse(status, f"Incorrect API key provided: {KEY}"))
    with pytest.raises(ModelError, match="OPENAI_API_KEY") as caught:
        write(at)
    assert len(at.asked) == 1
    shown = "".join(map(str, [caught.value, repr(caught.value), caught.value.__cause__]))
    assert KEY not in shown
    assert f"status {status}, Incorrect API key provided: (the key)" in shown


def test_a_missing_key_is_told(serve: Callable[[Reply], Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ModelError, match="OPENAI_API_KEY, which is not set"):
        write(serve(lambda _: refuse(401)))


def test_a_wrong_path_or_model_is_told_at_once(serve: Callable[[Reply], Server]) -> None:
    at = serve(lambda _: (404, {}, b"<html>not here</html>"))
    with pytest.raises(ModelError, match=r"/v1/chat/completions refuses: status 404.*'tiny'"):
        write(at)
    assert len(at.asked) == 1


def test_settings_that_the_model_does_not_take_are_named(serve: Callable[[Reply], Server]) -> None:
    with pytest.raises(ModelError, match=r"Unsupported parameter.*\['max_tokens', 'temperature'\]"):
        write(serve(lambda _: refuse(400, "Unsupported parameter")))


def test_an_address_where_nothing_listens_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    writer = ServerWriter(f"http://127.0.0.1:{port}/v1", "tiny", attempts=2, pause=0)
    with pytest.raises(ModelError, match=rf"http://127.0.0.1:{port}/v1/chat/completions gave no answer in 2 attempts"):
        writer.write(["a"], 1, seed=0)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 10_000, b"null", b"[]", b"{}", b'{"choices": []}',
        b'{"choices": [{"message": {"content": 3}}]}', b'{"choices": {"message": 1}}', b"<html></html>",
        gzip.compress(b'{"choices": [{"message": {"content": "x"}}]}', mtime=0),
    ],
)  # fmt: skip
def test_garbage_is_tried_again_and_then_told(serve: Callable[[Reply], Server], content: bytes) -> None:
    at = serve(lambda asked: echo(asked) if asked.number == 1 else (200, {}, content))
    assert write(at, attempts=2) == "a 0"
    with pytest.raises(ModelError, match="not that of chat completions"):
        write(at, attempts=2)


def test_a_compressed_response_is_not_unpacked(serve: Callable[[Reply], Server]) -> None:
    at = serve(lambda _: (200, {"Content-Encoding": "gzip"}, gzip.compress(say("x")[2])))
    with pytest.raises(ModelError, match="not that of chat completions"):
        write(at, attempts=1)
    assert at.asked[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [200, 400])
def test_an_endless_body_is_cut_off(serve: Callable[[Reply], Server], status: int) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * 65536

    at = serve(lambda _: (status, {}, endless()))
    with pytest.raises(ModelError, match=rf"more than {server.LARGEST_ANSWER} bytes"):
        write(at)
    assert at.ended.wait(10)


def test_endless_headers_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    listener = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):  # until the writer hangs up
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"name: value\r\n" * 1000)

    talking = threading.Thread(target=talk, daemon=True)
    talking.start()
    with listener, ServerWriter(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "tiny", attempts=1) as writer:
        with pytest.raises(ModelError, match="RemoteProtocolError"):
            writer.write(["a"], 1, seed=0)
        talking.join(10)
        assert not talking.is_alive()


def test_a_body_that_drips_is_given_up(serve: Callable[[Reply], Server]) -> None:
    def drip() -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b" "

    at = serve(lambda _: (200, {}, drip()))
    with pytest.raises(ModelError, match="does not end in time"):
        write(at, seconds=0.2, attempts=1)


def test_a_silent_server_is_given_up(serve: Callable[[Reply], Server]) -> None:
    over = threading.Event()
    at = serve(lambda _: (over.wait(2), refuse(500))[1])
    try:
        with pytest.raises(ModelError, match=r"no answer within 0\.1 s"):
            write(at, seconds=0.1, attempts=2)
    finally:
        over.set()


def test_a_connection_that_is_cut_is_tried_again(serve: Callable[[Reply], Server]) -> None:
    at = serve(lambda asked: echo(asked) if asked.number else (200, {"Content-Length": "1000"}, b'{"choices"'))
    assert write(at, attempts=2) == "a 0"


def test_a_redirection_is_not_followed(serve: Callable[[Reply], Server]) -> None:
    other = serve(echo)
    at = serve(lambda _: (307, {"Location": other.address + "/chat/completions"}, b""))
    with pytest.raises(ModelError, match="status 307"):
        write(at)
    assert other.asked == []


def test_what_a_server_says_is_short_and_harmless(serve: Callable[[Reply], Server]) -> None:
    with pytest.raises(ModelError) as caught:
        write(serve(lambda _: refuse(404, "\x1b[2J" + "x" * 100_000)))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "address",
    [
        "", "localhost:8000", "ftp://host/v1", "file:///etc/passwd", "http://", "http://u:hunter2@host/v1",
        "http://host/v1?key=hunter2", "http://host/v1#hunter2", "http://host:hunter2/v1", "\0",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_meant_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(InputError, match="The address must be") as caught:
        ServerWriter(address, "tiny")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["two\nlines-hunter2", "ключ-hunter2", "\x7fhunter2"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InputError, match="OPENAI_API_KEY") as caught:
        ServerWriter("http://localhost/v1", "tiny")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"at_once": 0}, {"attempts": 0}, {"pause": -1.0}, {"seconds": 0.0}, {"seconds": float("inf")},
        {"settings": {"stop": {1}}}, {"settings": {"temperature": float("nan")}},
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        ServerWriter("http://localhost/v1", "tiny", **wrong)
