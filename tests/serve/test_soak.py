"""Polite and hostile clients together, for a while: no good request fails, and nothing leaks."""

import threading
import time
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.serve.bundles import make_model, write_bundle
from tests.serve.protocol.hostile import cases
from tests.serve.protocol.test_hostile import statuses
from tests.serve.protocol.test_http import memory_of_worker, worker
from tests.serve.server import Server, serve

ROUNDS, CLIENTS = 5, 4
DATA = [data for _, data, _ in cases()]
PREDICT = "/v1/models/recommender:predict"
GOOD: list[tuple[str, str, object]] = [
    ("GET", "/recommend/C000003", None),
    ("GET", "/similar/P000007?n=50", None),
    ("POST", "/recommend", {"customers": [f"C{number:06d}" for number in range(30)], "n": 20}),
    ("POST", PREDICT, {"customer_id": ["C000003"] * 300, "product_id": ["P000007"] * 300}),
    ("GET", "/metrics", None),
]


def open_files(server: Server) -> int:
    return len(list((worker(server) / "fd").iterdir()))


def soak(server: Server, seed: int, failed: list[str]) -> None:
    """Send every hostile request once, in random order, each between two good ones."""
    port = server.client.base_url.port or 80
    with httpx.Client(base_url=server.client.base_url, timeout=30) as client:
        for data in Random(seed).sample(DATA, len(DATA)):
            statuses(port, data)
            method, path, body = Random(seed + len(data)).choice(GOOD)
            answer = client.request(method, path, json=body)
            if answer.status_code != 200:
                failed.append(f"{path}: {answer.status_code} {answer.text}")


@pytest.mark.slow
def test_hostile_clients_make_no_good_request_fail_and_leave_nothing_behind(
    tmp_path: Path,
) -> None:
    failed: list[str] = []
    memory, files = [], []
    with serve(write_bundle(tmp_path / "bundle", make_model()), "--no-access-log") as server:
        [pid] = [worker(server).name]
        for number in range(ROUNDS):
            threads = [
                threading.Thread(target=soak, args=(server, CLIENTS * number + client, failed))
                for client in range(CLIENTS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            time.sleep(2.5)  # refused connections linger for two seconds
            memory.append(memory_of_worker(server))
            files.append(open_files(server))
        assert worker(server).name == pid
        assert 'status="500"' not in server.client.get("/metrics").text
    assert failed == []
    assert files[-1] <= files[0]
    assert memory[-1] - memory[1] < 4096, memory  # in kB, after the allocator has warmed up
