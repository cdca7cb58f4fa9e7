"""No client can hold up the others or fill the memory, though it asks the most that is allowed."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.serve.bundles import make_model, write_bundle
from tests.serve.processes.test_lifecycle import sample
from tests.serve.protocol.test_http import connect, memory_of_worker
from tests.serve.server import Server, serve

CUSTOMERS, PRODUCTS = 256, 50_000
NAMES = [f"C{number:06d}" for number in range(CUSTOMERS)]
STRANGERS = [f"stranger {number}" for number in range(CUSTOMERS)]
# The most that is allowed: in the number of customers, in products to rank, in products to show.
HEAVY = [
    {"customers": NAMES, "n": 390},
    {"customers": STRANGERS, "n": 390},
    {"customers": NAMES[:2], "n": 1000, "offset": 49_000},
    {"customers": NAMES[:32], "n": 1000, "offset": 2000},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    bundle = tmp_path_factory.mktemp("load") / "bundle"
    write_bundle(bundle, make_model(CUSTOMERS, PRODUCTS, width=64))
    with serve(bundle, "--no-access-log") as running:
        yield running


def test_more_products_than_a_request_may_rank_are_refused_in_words(server: Server) -> None:
    body = {"customers": NAMES, "n": 1000, "offset": 49_000}
    answer = server.client.post("/recommend", json=body)
    assert answer.status_code == 422
    assert "more than 101000 products: ask for fewer" in answer.json()["error"]


def test_a_long_list_of_customers_gets_what_each_gets_alone(server: Server) -> None:
    customers = [*NAMES[:40], *STRANGERS[:40]]
    body = {"customers": customers, "n": 3}
    results = server.client.post("/recommend", json=body).json()["results"]
    for place in (0, 31, 32, 39, 40, 79):
        alone = server.client.get(f"/recommend/{customers[place]}?n=3").json()
        assert results[place] == alone


def test_a_probe_is_answered_beside_clients_that_ask_the_most(server: Server) -> None:
    done = threading.Event()

    def ask(body: dict[str, object]) -> None:
        with httpx.Client(base_url=server.client.base_url, timeout=60) as client:
            while not done.is_set():
                assert client.post("/recommend", json=body).status_code == 200

    threads = [threading.Thread(target=ask, args=[body]) for body in HEAVY * 2]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            start = time.monotonic()
            assert server.client.get("/v2/health/live").status_code == 200
            assert time.monotonic() - start < 1
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_answers_that_nobody_reads_do_not_fill_the_memory(server: Server) -> None:
    body = json.dumps(HEAVY[1]).encode()
    head = f"POST /recommend HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    before, largest = memory_of_worker(server), 0
    already = cold_starts(server)
    with ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(connect(server))
            connection.sendall(head.encode() + body)
        while cold_starts(server) - already < 40 * CUSTOMERS:  # the time-out ends one that hangs
            largest = max(largest, memory_of_worker(server))
            time.sleep(0.02)
    assert largest - before < 128 * 1024


def cold_starts(server: Server) -> float:
    return sample(server.client.get("/metrics").text, "alsolike_cold_starts_total")
