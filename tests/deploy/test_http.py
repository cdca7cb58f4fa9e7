"""A proxy of the surroundings is asked for what lies beyond it, and for nothing else."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from components.deploy.http import client, is_ready


class Answering(HTTPServer):
    """Answers any GET with an empty object, and keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Answering

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")


@pytest.fixture
def server() -> Iterator[Answering]:
    with Answering() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: Answering, monkeypatch: pytest.MonkeyPatch) -> Answering:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
    return server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_on_this_machine_is_asked_directly(proxy: Answering, host: str) -> None:
    assert is_ready(f"http://{host}:{proxy.server_port}")
    assert proxy.asked == ["/v2/health/ready"]


@pytest.mark.parametrize("host", ["shop-candidate.default.svc", "shop.default.svc.cluster.local"])
def test_a_service_of_the_cluster_is_asked_directly(proxy: Answering, host: str) -> None:
    with pytest.raises(OSError, match="urlopen error"):
        client(f"http://{host}")("/", None)
    assert proxy.asked == []


def test_what_lies_elsewhere_is_asked_through_the_proxy(proxy: Answering) -> None:
    assert client("http://shop.example.com/")("/v2", None) == {}
    assert proxy.asked == ["http://shop.example.com/v2"]
