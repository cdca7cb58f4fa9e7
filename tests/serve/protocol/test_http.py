"""The server keeps to HTTP/1.1 whatever a client does, and no client can hold it up."""

import json
import os
import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import httpx
import pytest

from components.serve.protocol.http import Request, error_response
from tests.serve.bundles import make_model, write_bundle
from tests.serve.server import Server, serve

LIVE = b"GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\n"
COMPUTED = b"GET /recommend/C000003?n=1 HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /recommend HTTP/1.1\r\nhost: localhost\r\n"
BODY = b'{"customers":["C000003"],"n":1}'
SIZED = b"content-length: %d\r\n" % len(BODY)
H2C = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = write_bundle(tmp_path_factory.mktemp("http") / "bundle", make_model())
    with serve(folder, "--no-access-log", "--max-connections=20") as running:
        yield running


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for no client as long as a test would."""
    folder = write_bundle(tmp_path_factory.mktemp("impatient") / "bundle", make_model())
    limits = ("--receive-seconds=0.7", "--idle-seconds=1")
    with serve(folder, "--no-access-log", *limits) as running:
        yield running


def connect(server: Server) -> socket.socket:
    url = server.client.base_url
    return socket.create_connection((url.host, url.port or 80), timeout=30)


def receive(connection: socket.socket) -> bytes:
    """What comes until the end."""
    return b"".join(iter(partial(connection.recv, 1 << 16), b""))


def worker(server: Server) -> Path:
    """What the system tells of the only worker."""
    pid = server.process.pid
    [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return Path(f"/proc/{child}")


def memory_of_worker(server: Server) -> int:
    """Resident memory, in kB."""
    return int((worker(server) / "status").read_text().partition("VmRSS:")[2].split()[0])


def seconds_of_worker(server: Server) -> float:
    """Seconds of a processor that it has used."""
    fields = (worker(server) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def talk(server: Server, data: bytes) -> list[tuple[int, str]]:
    """Send, and give the statuses and bodies of the answers in their order."""
    with closing(connect(server)) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return answers(receive(connection))


def answers(received: bytes) -> list[tuple[int, str]]:
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        length = re.search(rb"content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        found.append((status, received[:size].decode()))
        received = received[size:]
    return found


def statuses(server: Server, data: bytes) -> list[int]:
    return [status for status, _ in talk(server, data)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (COMPUTED + b"\r\n" + LIVE + b"\r\n", [200, 200]),
        (COMPUTED + b"\r\nNONSENSE\r\n\r\n", [200, 400]),
        (COMPUTED + b"connection: close\r\n\r\n" + LIVE + b"\r\n", [200]),
        (LIVE + b"connection: close\r\n\r\n" + LIVE + b"\r\n", [200]),
        ((COMPUTED + b"\r\n") * 100 + LIVE + b"\r\n", [200] * 101),
    ],
)
def test_pipelined_requests_are_answered_in_order(
    server: Server, data: bytes, expected: list[int]
) -> None:
    found = talk(server, data)
    assert [status for status, _ in found] == expected
    assert all("P0" in body for _, body in found[: len(expected) - 1])


@pytest.mark.parametrize("framing", [SIZED, b"transfer-encoding: chunked\r\n"])
def test_an_offer_of_http2_is_declined_and_the_request_answered(
    server: Server, framing: bytes
) -> None:
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    body = BODY if framing == SIZED else chunked
    offered = POST + H2C + framing + b"x-request-id: mine\r\n\r\n" + body
    with closing(connect(server)) as connection:
        connection.sendall(COMPUTED + H2C + b"\r\n")
        connection.sendall(offered[:-5])
        time.sleep(0.05)
        connection.sendall(offered[-5:] + LIVE + b"\r\n")
        connection.shutdown(socket.SHUT_WR)
        received = receive(connection)
    assert [status for status, _ in answers(received)] == [200, 200, 200]
    assert b"x-request-id: mine" in received


def test_many_offers_of_http2_in_a_row_are_all_declined(server: Server) -> None:
    assert statuses(server, (LIVE + H2C + b"\r\n") * 900) == [200] * 900


@pytest.mark.parametrize(
    ("version", "connection"),
    [(b"1.1", b"connection: close\r\n"), (b"1.0", b""), (b"1.0", b"connection: keep-alive\r\n")],
)
def test_a_declined_offer_keeps_what_the_client_says_of_the_connection(
    server: Server, version: bytes, connection: bytes
) -> None:
    asked = LIVE.replace(b"1.1", version) + connection + H2C + b"\r\n"
    with closing(connect(server)) as client:
        client.sendall(asked + LIVE + b"\r\n")
        assert [status for status, _ in answers(receive(client))] == [200]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"CONNECT x:80 HTTP/1.1\r\nhost: localhost\r\n\r\n", 501),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (POST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\n{} ", 400),
        (POST + b"content-length: -1\r\n\r\n", 400),
        (POST + b"content-length: 99999999999999999999999\r\n\r\n", 400),
        (POST + b"content-length: 2000000\r\n\r\n", 413),
        (POST + b"content-length: 2000000\r\nexpect: 100-continue\r\n\r\n", 413),
        (POST + b"transfer-encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n", 400),
        (POST + b"transfer-encoding: chunked\r\n\r\n" + (b"10000\r\n%065536d\r\n" % 0) * 17, 413),
        (POST + b"transfer-encoding: chunked\r\n\r\n0\r\nx: " + b"a" * 9_000_000, 431),
        (POST + b"content-length: 20000\r\n\r\n" + b"[" * 10000 + b"]" * 10000, 422),
        (LIVE + b"x: " + b"a" * 140_000 + b"\r\n\r\n", 431),
        (LIVE + b"x: a\r\n" * 30_000 + b"\r\n", 431),
        (b"GET /recommend/" + b"a" * 140_000 + b" HTTP/1.1\r\n\r\n", 431),
        (LIVE + b"x-request-id: a\x01b\r\n\r\n", 400),
        (b"GET http://[/ HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
    ],
)
def test_what_is_not_acceptable_is_refused_once(server: Server, data: bytes, expected: int) -> None:
    [(status, body)] = talk(server, data)
    assert status == expected
    assert json.loads(body)["error"]


def test_a_body_is_asked_for_when_the_client_waits(server: Server) -> None:
    with closing(connect(server)) as connection:
        connection.sendall(POST + SIZED + b"expect: 100-continue\r\n\r\n")
        assert connection.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        connection.shutdown(socket.SHUT_WR)
        assert [status for status, _ in answers(receive(connection))] == [200]


def test_a_body_may_come_in_pieces(server: Server) -> None:
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
    head = POST + b"transfer-encoding: chunked\r\n\r\n"
    assert statuses(server, head + pieces + b"0\r\nx: y\r\n\r\n") == [200]


def test_a_body_in_a_million_pieces_holds_nobody_up(server: Server) -> None:
    head = POST + b"transfer-encoding: chunked\r\n\r\n"
    before = seconds_of_worker(server)
    assert statuses(server, head + b"1\r\n \r\n" * 500_000 + b"0\r\n\r\n") == [400]
    assert seconds_of_worker(server) - before < 2


@pytest.mark.parametrize(
    ("path", "customer"),
    [
        ("a%2Fb/c", "a/b/c"),
        ("/a//", "/a//"),
        ("caf%C3%A9", "café"),
        ("%zz%FF", "%zz\N{REPLACEMENT CHARACTER}"),
        ("%3Cscript%3E%22", '<script>"'),
        ("a+b%20c", "a+b c"),
        ("%00", "\0"),
        ("..%2f..%2fetc%2fpasswd", "../../etc/passwd"),
    ],
)
def test_an_id_may_hold_any_character(server: Server, path: str, customer: str) -> None:
    [(status, body)] = talk(
        server, f"GET /recommend/{path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
    )
    assert status == 200
    assert json.loads(body)["customer_id"] == customer


@pytest.mark.parametrize(
    "target", ["http://elsewhere/v1/models/recommender", "/v1/models/%72ecommender"]
)
def test_other_spellings_of_a_path_lead_to_it(server: Server, target: str) -> None:
    assert statuses(server, f"GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()) == [200]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("OPTIONS", "/recommend", "POST"),
        ("GET", "/recommend", "POST"),
        ("DELETE", "/recommend/C000003", "GET, HEAD"),
        ("HEAD", "/invocations", "POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    server: Server, method: str, path: str, allowed: str
) -> None:
    answer = server.client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed


def test_head_is_get_without_the_body(server: Server) -> None:
    asked, got = server.client.head("/popular"), server.client.get("/popular")
    assert asked.headers["content-length"] == got.headers["content-length"]
    assert asked.content == b""


@pytest.mark.parametrize("header", [b"", b"connection: keep-alive\r\n"])
def test_a_client_of_http_1_0_gets_the_end_of_the_connection(server: Server, header: bytes) -> None:
    with closing(connect(server)) as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.0\r\n" + header + b"\r\n")
        assert b"connection: close" in receive(connection)


def test_an_id_of_the_request_comes_back(server: Server) -> None:
    ids = [server.client.get("/popular").headers["x-request-id"] for _ in range(2)]
    assert ids[0] != ids[1]
    long = server.client.get("/popular", headers={"x-request-id": "a" * 500})
    assert long.headers["x-request-id"] == "a" * 128


def test_a_request_that_trickles_in_is_refused(impatient: Server) -> None:
    with closing(connect(impatient)) as connection:
        connection.settimeout(0.2)
        received = b""
        for byte in LIVE * 3:
            connection.sendall(bytes([byte]))
            try:
                received += connection.recv(1 << 16)
                break
            except TimeoutError:
                pass
    assert b" 408 " in received


def test_a_connection_without_requests_is_closed(impatient: Server) -> None:
    with closing(connect(impatient)) as connection:
        started = time.monotonic()
        connection.sendall(LIVE + b"\r\n")
        assert b" 200 " in receive(connection)
        assert time.monotonic() - started >= 1


def test_a_client_that_reads_nothing_is_cut_off(impatient: Server) -> None:
    before = largest = memory_of_worker(impatient)
    with closing(connect(impatient)) as connection:
        # Their answers of 5 kB are more than the system keeps for either side.
        connection.sendall(b"GET /popular?n=1000 HTTP/1.1\r\nhost: localhost\r\n\r\n" * 10_000)
        end = select.poll()
        end.register(connection, 0)
        while not (events := end.poll(20)):
            largest = max(largest, memory_of_worker(impatient))
    assert [event & select.POLLERR for _, event in events] == [select.POLLERR]
    assert largest < before + 10_000


def test_further_connections_are_refused_in_words_while_all_are_busy(server: Server) -> None:
    with ExitStack() as stack:
        busy = [stack.enter_context(closing(connect(server))) for _ in range(20)]
        for connection in busy:
            connection.sendall(POST + SIZED + b"expect: 100-continue\r\n\r\n")
            assert connection.recv(1 << 16).split()[1] == b"100"
        further = stack.enter_context(closing(connect(server)))
        assert b" 503 " in receive(further)
        for connection in busy:
            connection.sendall(BODY)
            assert connection.recv(1 << 16).split()[1] == b"200"


def test_a_further_connection_takes_the_place_of_the_one_that_was_idle_longest(
    server: Server,
) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(closing(connect(server))) for _ in range(20)]
        for connection in [*idle[1:], idle[0]]:
            connection.sendall(LIVE + b"\r\n")
            assert connection.recv(1 << 16).split()[1] == b"200"
        further = stack.enter_context(closing(connect(server)))
        further.sendall(LIVE + b"\r\n")
        assert further.recv(1 << 16).split()[1] == b"200"
        assert idle[1].recv(1 << 16) == b""
        idle[0].sendall(LIVE + b"\r\n")
        assert idle[0].recv(1 << 16).split()[1] == b"200"


MANY = b"GET /popular?n=1000 HTTP/1.1\r\nhost: localhost\r\n\r\n" * 1000


@pytest.mark.parametrize("sent", [LIVE, MANY], ids=["half a request", "many requests"])
def test_clients_that_neither_send_nor_read_keep_no_one_out(server: Server, sent: bytes) -> None:
    """Or the liveness probe would fail, and the server be restarted."""
    with ExitStack() as stack:
        stuck = [stack.enter_context(closing(connect(server))) for _ in range(20)]
        for connection in stuck:
            connection.sendall(sent)
        end, statuses = time.monotonic() + 10, [b"503"]
        while statuses[-1] == b"503" and time.monotonic() < end:
            time.sleep(0.2)
            further = stack.enter_context(closing(connect(server)))
            further.sendall(LIVE + b"\r\n")
            statuses.append(further.recv(1 << 16).split()[1])
    assert statuses[-1] == b"200"


def test_a_client_that_leaves_early_harms_nobody(server: Server) -> None:
    for _ in range(50):
        with closing(connect(server)) as connection:
            connection.sendall((COMPUTED + b"\r\n") * 3)
    assert server.client.get("/recommend/C000003").status_code == 200


def test_a_failure_of_our_own_is_told_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    request = Request("GET", "/popular", "", b"", b"id-7", keep_alive=True)
    response = error_response(ZeroDivisionError("in detail"), request)
    assert response.status == 500
    assert json.loads(response.body) == {"error": "internal error"}
    assert "id-7" in caplog.text
    assert "in detail" in caplog.text


@pytest.mark.parametrize("name", ["server", "impatient"])
def test_nothing_of_this_made_the_server_fail(name: str, request: pytest.FixtureRequest) -> None:
    """Runs last: there was no failure, and no trace in the log, in all of the above."""
    server: Server = request.getfixturevalue(name)
    assert 'status="500"' not in httpx.get(f"{server.client.base_url}/metrics", timeout=30).text
    server.process.terminate()
    log, _ = server.process.communicate(timeout=60)
    assert server.process.returncode == 0
    assert [line.split(": ")[1].split()[0] for line in log.splitlines()] == ["ending"]
