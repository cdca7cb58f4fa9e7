"""What no polite client sends gets the answers that are meant, beside nginx and uvicorn."""

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from components.deploy.server import free_port
from tests.serve.bundles import make_model, write_bundle
from tests.serve.protocol.hostile import cases
from tests.serve.server import Server, serve

CASES = {name: (data, expected) for name, data, expected in cases()}
# In what a peer differs from us, and why that is meant. Versions of a peer differ in this too.
NGINX = {
    "it takes any method, for a constant": (
        "an unknown method",
        "a method of a hundred letters",
        "DELETE",
        "RTSP",
        "an asterisk",
        "CONNECT",
        "a URL without a path",
        "a fragment",
    ),
    "it takes what RFC 9112 forbids in a head": (
        "line feeds alone",
        "a space at the end",
        "UTF-8 in the path",
        "no colon",
        "a control character in the value",
        "a line feed alone at the end",
        "UTF-8 in the name",
        "parentheses in the name",
    ),
    "it takes later versions of HTTP/1, and answers 0.9": (
        "HTTP/1.2",
        "HTTP/1.10",
        "HTTP/0.9",
        "HTTP/9.9",
        "a version without a point",
    ),
    "it does not wait for a body before a constant": (
        "a body that is too short",
        "a trailer that is none",
        "a trailer with a length",
        "a chunk that is shorter",
        "a chunk ended by a line feed",
        "no last chunk",
    ),
    "it has other statuses for the same": (
        "chunks and gzip",
        "a vertical tab",
        "a length of 2^63",
        "a path of 100,000 bytes",
        "a header of 100,000 bytes",
        "20,000 headers",
        "a name of 100,000 bytes",
        "gzip alone",
        "identity",
    ),
    "it has no list of its own names by default": ("an empty host",),
}
UVICORN = {
    "the application takes any method and path": (
        "DELETE",
        "TRACE",
        "a fragment",
        "RTSP",
        "an asterisk",
        "CONNECT",
        "a URL without a path",
    ),
    "it asks for no host": ("no host", "two hosts", "an empty host"),
    "it takes versions that it does not speak": ("HTTP/0.9", "HTTP/2.0"),
    "it takes codings that it does not know": (
        "gzip and chunks",
        "chunks in HTTP/1.0",
        "gzip alone",
        "identity",
        "an unknown coding",
    ),
    "it limits neither head nor body": (
        "a path of 100,000 bytes",
        "a header of 100,000 bytes",
        "20,000 headers",
        "a name of 100,000 bytes",
        "a length over the limit",
        "a length of 2^63",
    ),
    "it forgets requests when the client has sent all": (
        "two requests",
        "a hundred requests",
        "a body and a request",
        "chunks and a request",
        "line ends between",
        "a body of a GET and a request",
        "a request and nonsense",
    ),
}

_NGINX = """
daemon off; pid nginx.pid; events {{}}
http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{{}}'; }} }} }}
"""
_ASGI = """
async def application(scope, receive, send):
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message.get("more_body", False)
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = write_bundle(tmp_path_factory.mktemp("hostile") / "bundle", make_model())
    with serve(folder, "--no-access-log") as running:
        yield running


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(port=port))
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    with peer(port, "nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"):
        yield port


@pytest.fixture(scope="module")
def uvicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder, port = tmp_path_factory.mktemp("uvicorn"), free_port()
    (folder / "asgi.py").write_text(_ASGI)
    options = ("--lifespan=off", "--http=httptools", "--log-level=critical", f"--port={port}")
    command = (sys.executable, "-m", "uvicorn", "asgi:application")
    with peer(port, *command, "--app-dir", str(folder), *options):
        yield port


@contextmanager
def peer(port: int, *command: str) -> Iterator[None]:
    """Another server, once it listens."""
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + 30
            while True:
                with (
                    suppress(ConnectionRefusedError),
                    socket.create_connection(("127.0.0.1", port)),
                ):
                    break
                assert time.monotonic() < deadline, f"{command[0]} does not start"
                time.sleep(0.02)
            yield
        finally:
            process.terminate()


def statuses(port: int, data: bytes) -> list[int]:
    """Of the answers to what is sent before the client sends no more."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        with suppress(ConnectionError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while piece := connection.recv(1 << 16):
                received += piece
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_request_gets_the_statuses_that_are_meant(server: Server, name: str) -> None:
    data, expected = CASES[name]
    assert statuses(server.client.base_url.port or 80, data) == expected


@pytest.mark.parametrize("name", CASES)
def test_nginx_answers_the_same_or_the_difference_is_meant(nginx: int, name: str) -> None:
    data, expected = CASES[name]
    assert statuses(nginx, data) == expected or name in sum(NGINX.values(), ())


@pytest.mark.parametrize("name", CASES)
def test_uvicorn_answers_the_same_or_the_difference_is_meant(uvicorn: int, name: str) -> None:
    data, expected = CASES[name]
    assert statuses(uvicorn, data) == expected or name in sum(UVICORN.values(), ())


def test_every_difference_is_of_a_case() -> None:
    assert set(sum([*NGINX.values(), *UVICORN.values()], ())) <= set(CASES)


def test_the_server_answers_after_all_of_it_and_has_failed_nowhere(server: Server) -> None:
    for data, _ in CASES.values():
        statuses(server.client.base_url.port or 80, data)
    assert server.client.get("/popular").status_code == 200
    assert 'status="500"' not in server.client.get("/metrics").text
