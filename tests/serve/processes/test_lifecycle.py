"""The server starts as its platform asks, changes models safely, survives its workers, and ends."""

import asyncio
import dataclasses
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest

from components.artifacts.bundles import version_of
from components.artifacts.folder import write_artifact
from components.artifacts.model import FACTORS, KIND, SCHEMA_VERSION, Model, write_model
from components.artifacts.precomputed import precompute, write_precomputed
from components.artifacts.strings import StringTable
from components.deploy.server import free_port
from components.serve.processes import supervisor
from tests.serve.bundles import make_model, write_bundle
from tests.serve.server import Server, run_async, serve, wait_until_ready

MODEL = make_model()
PREDICT = "/v1/models/recommender:predict"
PAIR = {"instances": [{"customer_id": "C000003", "product_id": "P000007"}]}


def switch(link: Path, bundle: Path) -> None:
    """Point a link elsewhere in one rename, as a deployment does."""
    partial = link.with_name("partial")
    partial.symlink_to(bundle)
    partial.replace(link)


def wait_for(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until a condition is true; after a minute fail, and say what is wrong."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)


def wait_for_version(server: Server, bundle: Path) -> None:
    def answers() -> bool:
        version: str = server.client.get("/popular").headers["model-version"]
        return version == version_of(bundle)

    wait_for(answers, f"version {version_of(bundle)} does not answer")


def with_value(group: str, name: str, value: object) -> Model:
    """The model, with one array in a group exchanged."""
    changed = dataclasses.replace(getattr(MODEL, group), **{name: value})
    return dataclasses.replace(MODEL, **{group: changed})


def with_item(group: str, name: str, place: object, value: float) -> Model:
    """The model, with one number in one array exchanged."""
    array = getattr(getattr(MODEL, group), name).copy()
    array[place] = value
    return with_value(group, name, array)


def shifted(table: StringTable) -> StringTable:
    return StringTable(table.blob, table.offsets[::-1].copy())


def not_utf8(table: StringTable) -> StringTable:
    return StringTable(np.full_like(table.blob, 0xFF), table.offsets)


def edit(file: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    """A bundle with bytes exchanged that its manifest vouches for otherwise."""

    def write(folder: Path) -> None:
        path = write_bundle(folder, MODEL) / file
        path.write_bytes(path.read_bytes().replace(old, new))

    return write


def vouched(content: bytes) -> Callable[[Path], None]:
    """A bundle whose manifest vouches for arrays that are none."""

    def write(folder: Path) -> None:
        with write_artifact(folder, KIND, SCHEMA_VERSION) as writer:
            write_model(writer, MODEL, {}, [])
            (writer.path / FACTORS).write_bytes(content)

    return write


def without_factors(folder: Path) -> None:
    """A bundle whose manifest does not list its arrays."""
    manifest = write_bundle(folder, MODEL) / "manifest.json"
    facts = json.loads(manifest.read_text())
    del facts["files"][FACTORS]
    manifest.write_text(json.dumps(facts))


def lists_with(item: int, score: float) -> Callable[[Path], None]:
    """A bundle whose first precomputed list begins with this."""

    def write(folder: Path) -> None:
        lists = precompute(MODEL, 5)
        lists.items[0, 0], lists.scores[0, 0] = item, score
        with write_artifact(folder, KIND, SCHEMA_VERSION) as writer:
            write_model(writer, MODEL, {}, [])
            write_precomputed(writer.path, lists)

    return write


def model(changed: Model) -> Callable[[Path], object]:
    return lambda folder: write_bundle(folder, changed)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "other bytes": (edit(FACTORS, b"Caf", b"Tea"), "it was cut or edited"),
    "damaged manifest": (edit("manifest.json", b"{", b"["), "damaged"),
    "a manifest without the arrays": (without_factors, "does not vouch for factors"),
    "not whole arrays": (vouched(b"\0" * 100), "not a safetensors file"),
    "arrays that are a list": (vouched(b"\2" + b"\0" * 7 + b"[]"), "not a safetensors file"),
    "a header nested too deeply": (
        vouched((40_000).to_bytes(8, "little") + b"[" * 40_000),
        "not a safetensors file",
    ),
    "nan in stars": (model(with_item("rating", "users", (3, 0), np.nan)), "NaN"),
    "infinite bias": (model(with_item("rating", "item_biases", 3, np.inf)), "NaN or infinity"),
    "nan in ranking": (model(with_item("ranking", "items", (3, 0), np.nan)), "NaN"),
    "nan in popularity": (model(with_item("catalogue", "popularity", 3, np.nan)), "NaN"),
    "too few products": (
        model(with_value("ranking", "items", np.zeros((49, 8), np.float32))),
        "ranking.items has shape (49, 8), not (50, 8)",
    ),
    "other widths": (
        model(with_value("rating", "users", np.zeros((30, 7), np.float32))),
        "rating.users has shape (30, 7), not (30, 8)",
    ),
    "too few customers": (
        model(with_value("rating", "user_biases", np.zeros(29, np.float32))),
        "rating.user_biases has shape",
    ),
    "a product that is none": (model(with_item("seen", "items", 0, 50)), "refers to a row beyond"),
    "a window of nothing": (model(with_item("ranking", "window", 0, 0)), "no window"),
    "items that are no integers": (
        model(with_value("seen", "items", MODEL.seen.items.astype(np.float32))),
        "seen.items is not of int32",
    ),
    "titles that run into others": (
        model(with_value("catalogue", "titles", shifted(MODEL.catalogue.titles))),
        "catalogue.titles has wrong offsets",
    ),
    "titles that are not UTF-8": (
        model(with_value("catalogue", "titles", not_utf8(MODEL.catalogue.titles))),
        "catalogue.titles is not UTF-8",
    ),
    "no offsets": (model(with_value("seen", "offsets", np.zeros(0, np.int64))), "wrong shape"),
    "offsets that descend": (model(with_item("seen", "offsets", 1, 9)), "do not ascend"),
    "a list of no product": (lists_with(50, 0.0), "refers to a row beyond"),
    "a list with nan": (lists_with(1, np.nan), "NaN"),
}


@pytest.fixture(scope="module")
def switchable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("switch")
    link = folder / "current"
    switch(link, write_bundle(folder / "old", MODEL))
    with serve(link, "--no-access-log") as server:
        yield server, link


def test_new_bundles_are_taken_up_under_load_without_a_failed_request(tmp_path: Path) -> None:
    """Every answer is wholly of one model; the last one deployed is the one that stays."""
    models = [make_model(seed=seed) for seed in range(3)]
    bundles = [write_bundle(tmp_path / str(seed), model) for seed, model in enumerate(models)]
    link = tmp_path / "current"
    switch(link, bundles[0])
    with serve(link, "--no-access-log") as server:
        answers: list[tuple[int, str, bytes]] = []
        done = threading.Event()

        def load() -> None:
            with httpx.Client(base_url=server.client.base_url, timeout=30) as client:
                while not done.is_set():
                    answer = client.post("/recommend", json={"customers": ["C000003"]})
                    version = answer.headers["model-version"]
                    answers.append((answer.status_code, version, answer.content))

        def seen_versions(count: int) -> bool:
            return len({version for _, version, _ in answers}) == count

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number, bundle in enumerate(bundles, start=1):
            switch(link, bundle)
            wait_for(partial(seen_versions, number), f"version {number} does not answer")
        settled = len(answers)
        wait_for(lambda: len(answers) > settled + 50, "answers no longer come")
        done.set()
        for thread in threads:
            thread.join()
    assert {status for status, _, _ in answers} == {200}
    assert len({content for _, _, content in answers}) == 3
    assert len({(version, content) for _, version, content in answers}) == 3
    assert len({version for _, version, _ in answers[-20:]}) == 1
    assert len(dict.fromkeys(version for _, version, _ in answers)) == 3


def opened(worker: int, folder: Path) -> list[str]:
    """What a process holds open, or mapped into its memory, of the files in a folder."""
    process = Path(f"/proc/{worker}")
    links = [os.readlink(link) for link in (process / "fd").iterdir()]
    mapped = (process / "maps").read_text().splitlines()
    return [each for each in links + mapped if str(folder) in each]


def test_a_worker_lets_go_of_the_files_of_the_bundle_it_had(tmp_path: Path) -> None:
    bundles = [write_bundle(tmp_path / str(seed), make_model(seed=seed)) for seed in range(2)]
    link = tmp_path / "current"
    switch(link, bundles[0])
    with serve(link, "--no-access-log") as server:
        [worker] = children(server)
        assert opened(worker, bundles[0])
        server.client.get("/recommend/C000003")
        switch(link, bundles[1])
        wait_for(lambda: bool(opened(worker, bundles[1])), "the new bundle is not open")
        wait_for(lambda: not opened(worker, bundles[0]), "the old bundle is still open")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_bundle_is_refused_with_the_reason_and_the_old_one_stays(
    switchable: tuple[Server, Path], tmp_path: Path, name: str
) -> None:
    server, link = switchable
    write, reason = BAD[name]
    before = server.client.get("/popular")
    write(tmp_path / "bad")
    switch(link, tmp_path / "bad")
    assert server.process.stdout is not None
    line = next(line for line in server.process.stdout if "refused" in line and reason in line)
    assert line.rstrip().endswith("keeps serving")
    after = server.client.get("/popular")
    assert after.headers["model-version"] == before.headers["model-version"]
    assert after.content == before.content


def test_a_switch_that_fails_is_tried_again_until_it_succeeds(tmp_path: Path) -> None:
    bundles = [write_bundle(tmp_path / str(seed), make_model(seed=seed)) for seed in range(2)]
    link = tmp_path / "current"
    switch(link, bundles[0])
    with serve(link, "--no-access-log") as server:
        [worker] = children(server)
        limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, limits[1]))
        switch(link, bundles[1])
        assert server.process.stdout is not None
        assert any("cannot be opened, trying again" in line for line in server.process.stdout)
        assert server.client.get("/popular").headers["model-version"] == version_of(bundles[0])
        resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)
        wait_for_version(server, bundles[1])


def test_a_link_that_leads_to_itself_ends_no_server(
    switchable: tuple[Server, Path], tmp_path: Path
) -> None:
    server, link = switchable
    switch(link, link)
    time.sleep(0.3)  # it looks for a new bundle every 0.05 s
    assert server.process.poll() is None
    assert server.client.get("/popular").status_code == 200
    switch(link, write_bundle(tmp_path / "next", make_model(seed=9)))
    wait_for_version(server, tmp_path / "next")


def test_a_refused_bundle_is_tried_again(tmp_path: Path) -> None:
    """As what was wrong may have passed, without a change of the folder."""
    bundles = [write_bundle(tmp_path / str(seed), make_model(seed=seed)) for seed in range(2)]
    link, factors = tmp_path / "current", bundles[1] / FACTORS
    switch(link, bundles[0])
    with serve(link, "--no-access-log") as server:
        factors.rename(factors.with_suffix(".away"))
        switch(link, bundles[1])
        assert server.process.stdout is not None
        assert any("is missing" in line for line in server.process.stdout)
        factors.with_suffix(".away").rename(factors)
        wait_for_version(server, bundles[1])


def unreadable(folder: Path) -> None:
    """A bundle with a folder where a file should be, which root cannot read either."""
    (write_bundle(folder, MODEL) / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()


@pytest.mark.parametrize(
    ("write", "reason"),
    [BAD["nan in stars"], BAD["not whole arrays"], (unreadable, "cannot be read")],
)
def test_a_bad_bundle_is_not_started_from(
    tmp_path: Path, write: Callable[[Path], object], reason: str
) -> None:
    write(tmp_path / "bundle")
    command = [sys.executable, "-m", "components.serve", f"--bundle={tmp_path / 'bundle'}"]
    done = subprocess.run(
        [*command, "--port=0"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("error: serve: ")
    assert reason in line


@contextmanager
def started(bundle: Path, port: int, *arguments: str, **environment: str) -> Iterator[httpx.Client]:
    """The server with nothing but its bundle on the command line, as a platform starts it."""
    command = [sys.executable, "-m", "components.serve", f"--bundle={bundle}"]
    with (
        subprocess.Popen(
            [*command, "--drain-seconds=0", *arguments],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        try:
            wait_until_ready(client)
            yield client
        finally:
            process.terminate()


def test_vertex_ai_says_where_to_answer(tmp_path: Path) -> None:
    port = free_port()
    vertex = {
        "AIP_HTTP_PORT": str(port),
        "AIP_HEALTH_ROUTE": "/v1/endpoints/7/deployedModels/8",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/7/deployedModels/8:predict",
        "AIP_MODE": "PREDICTION",
    }
    with started(write_bundle(tmp_path / "bundle", MODEL), port, **vertex) as client:
        assert client.get(vertex["AIP_HEALTH_ROUTE"]).status_code == 200
        answer = client.post(vertex["AIP_PREDICT_ROUTE"], json=PAIR)
        assert answer.json() == client.post(PREDICT, json=PAIR).json()
        assert len(answer.json()["predictions"]) == 1
        assert f" 00000000:{port:04X} " in Path("/proc/net/tcp").read_text()


def test_the_command_line_goes_before_the_platform(tmp_path: Path) -> None:
    port = free_port()
    bundle = write_bundle(tmp_path / "bundle", MODEL)
    platform = {"SAGEMAKER_BIND_TO_PORT": "1", "AIP_PREDICT_ROUTE": "/elsewhere"}
    with started(bundle, port, f"--port={port}", **platform) as client:
        assert client.get("/ping").status_code == 200
        assert client.post("/elsewhere", json=PAIR).status_code == 200


def sample(text: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{re.escape(name)} (\S+)$", text, re.M))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of two workers."""
    folder = write_bundle(tmp_path_factory.mktemp("pair") / "bundle", MODEL)
    with serve(folder, "--workers=2", "--no-access-log") as server:
        yield server


def children(server: Server) -> list[int]:
    return children_of(server.process.pid)


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ask_often(server: Server, count: int) -> list[int]:
    """Ask over a new connection each time, so that every worker gets some of them."""
    url = f"{server.client.base_url}/recommend/nobody"
    return [httpx.get(url, timeout=30).status_code for _ in range(count)]


def test_metrics_are_of_all_workers_and_outlive_them(pair: Server) -> None:
    route = 'route="/recommend/{customer_id}"'
    counted = f'alsolike_requests_total{{{route},status="200"}}'
    first = pair.client.get("/metrics").text
    assert "alsolike_workers 2" in first
    ask_often(pair, 40)
    for worker in children(pair):
        os.kill(worker, signal.SIGKILL)
    ask_often(pair, 10)
    pair.client.close()
    for _ in range(6):
        text = httpx.get(f"{pair.client.base_url}/metrics", timeout=30).text
        assert sample(text, counted) - sample(first, counted) == 50
        assert sample(text, "alsolike_cold_starts_total") == sample(text, counted)
        assert sample(text, f"alsolike_request_seconds_count{{{route}}}") == sample(text, counted)
        bucket = f'alsolike_request_seconds_bucket{{{route},le="+Inf"}}'
        assert sample(text, bucket) == sample(text, counted)


def test_a_worker_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    with serve(write_bundle(tmp_path / "bundle", MODEL), "--no-access-log") as server:
        pid = server.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        os.kill(children(server)[0], signal.SIGKILL)
        assert server.process.stdout is not None
        while "cannot be started, trying again: " not in server.process.stdout.readline():
            assert server.process.poll() is None
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        server.client.close()
        assert httpx.get(f"{server.client.base_url}/popular", timeout=30).status_code == 200


def test_a_burst_of_connections_waits_for_a_busy_worker(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", MODEL)
    with serve(bundle, "--no-access-log") as server, ExitStack() as stack:
        [worker] = children(server)
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        os.kill(worker, signal.SIGSTOP)
        try:
            burst = [
                stack.enter_context(socket.create_connection(address, timeout=30))
                for _ in range(400)
            ]
        finally:
            os.kill(worker, signal.SIGCONT)
        for connection in burst:
            connection.sendall(b"GET /popular HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert {connection.recv(12) for connection in burst} == {b"HTTP/1.1 200"}


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced_within_ten_seconds(tmp_path: Path) -> None:
    """Or as soon after that as the machine can start another."""
    assert supervisor._MAX_MISSED_CHECKS * supervisor._CHECK_SECONDS < 10
    bundle = write_bundle(tmp_path / "bundle", MODEL)
    with serve(bundle, "--no-access-log") as server:
        [worker] = children(server)
        os.kill(worker, signal.SIGSTOP)
        assert httpx.get(f"{server.client.base_url}/popular", timeout=120).status_code == 200
        assert children(server) != [worker]


def test_a_page_of_another_name_does_not_reach_a_server_of_this_machine(pair: Server) -> None:
    def status(host: str) -> int:
        url = f"{pair.client.base_url}/popular"
        return httpx.get(url, headers={"host": host}, timeout=30).status_code

    port = pair.client.base_url.port
    assert status("evil.example") == 421
    assert status(f"evil.example:{port}") == 421
    for name in ("localhost", "LOCALHOST", "127.0.0.1", "[::1]"):
        assert status(name) == status(f"{name}:{port}") == 200


def test_names_of_a_server_may_be_stated(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", MODEL)
    with serve(bundle, "--allowed-hosts=shop.example", "--allowed-hosts=127.0.0.1") as server:
        for host, status in (("Shop.example", 200), ("localhost", 421)):
            answer = server.client.get("/popular", headers={"host": host})
            assert answer.status_code == status


def test_a_log_that_nobody_reads_holds_up_no_request(tmp_path: Path) -> None:
    long = "a" * 900
    with serve(write_bundle(tmp_path / "bundle", MODEL)) as server:
        for _ in range(1500):  # more than a pipe and the queue hold
            assert server.client.get(f"/recommend/{long}?n=1").status_code == 200
        text = server.client.get("/metrics").text
        assert sample(text, "alsolike_access_log_lines_dropped_total") > 0


def test_workers_end_with_their_supervisor(pair: Server) -> None:
    """The last test of this server: it kills it."""
    workers = children(pair)
    pair.process.kill()
    pair.process.wait()
    wait_for(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers),
        "a worker outlives its supervisor",
    )


def test_termination_under_load_loses_no_answer(tmp_path: Path) -> None:
    drain, until_idle_clients_are_cut_off = 4, 24
    bundle = write_bundle(tmp_path / "bundle", MODEL)
    options = ("--workers=2", "--no-access-log", f"--drain-seconds={drain}")
    with serve(bundle, *options, patient=True) as server:
        base_url = server.client.base_url
        many = {"customers": [f"C{number:06d}" for number in range(30)], "n": 30}
        answers: list[tuple[int, bool]] = []

        def load() -> None:
            """Ask until told to close the connection, as a load balancer does."""
            closing = False
            with httpx.Client(base_url=base_url, timeout=30) as client:
                while not closing:
                    answer = client.post("/recommend", json=many)
                    closing = answer.headers.get("connection") == "close"
                    answers.append((answer.status_code, closing))

        threads = [threading.Thread(target=load) for _ in range(4)]
        with httpx.Client(base_url=base_url, timeout=30) as idle:
            idle.get("/popular")
            for thread in threads:
                thread.start()
            while len(answers) < 20:
                time.sleep(0.02)
            server.process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            for path in ("/v2/health/ready", "/ping", "/v1/models/recommender"):
                while server.client.get(path).status_code != 503:
                    pass
            assert server.client.get("/v2/health/live").status_code == 200
            for thread in threads:
                thread.join()
            assert server.process.wait(60) == 0
            assert time.monotonic() - started < drain + until_idle_clients_are_cut_off
        assert {status for status, _ in answers} == {200}
        assert [closing for _, closing in answers].count(True) == 4


async def connect_until_refused(port: int, lost: list[str]) -> None:
    """Ask over a new connection each time, and note the connections that get no answer."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        try:
            writer.write(b"GET /popular HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            answer = await reader.read()
            if not answer.startswith(b"HTTP/1.1 200"):
                lost.append(f"answered {answer[:20]!r}")
        except OSError as error:
            lost.append(str(error))
        finally:
            writer.close()


def test_termination_resets_no_connection_that_was_accepted(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", MODEL)
    lost: list[str] = []

    async def scene(server: Server) -> None:
        port = server.client.base_url.port or 80
        async with asyncio.TaskGroup() as tasks:
            for _ in range(64):
                tasks.create_task(connect_until_refused(port, lost))
            await asyncio.sleep(0.3)
            server.process.terminate()

    for _ in range(3):  # whether a connection waits at the moment of closing is by chance
        with serve(bundle, "--workers=2", "--no-access-log") as server:
            run_async(scene(server))
    assert lost == []


def test_termination_while_libraries_are_loaded_is_no_failure(tmp_path: Path) -> None:
    """Nor is it lost, as a container's first process would lose it."""
    (tmp_path / "numpy.py").write_text("import time\ntime.sleep(600)\n")
    command = [sys.executable, "-m", "components.serve", f"--bundle={tmp_path}", "--port=0"]
    slow = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=slow) as process:
        while not catches(process.pid, signal.SIGTERM):
            time.sleep(0.001)
        process.terminate()
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in log


def test_termination_while_workers_start_reaches_them_all(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", MODEL)
    command = [sys.executable, "-m", "components.serve", f"--bundle={bundle}", "--port=0"]
    for _ in range(3):  # which worker has not yet begun when its signal comes is by chance
        with subprocess.Popen([*command, "--workers=8", "--drain-seconds=0"]) as process:
            while not children_of(process.pid):
                time.sleep(0.001)
            started = time.monotonic()
            process.terminate()
            assert process.wait(60) == 0
            assert time.monotonic() - started < 25  # they are killed after 29


def catches(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = re.search(r"^SigCgt:\s+(\w+)$", status, re.M)
    return mask is not None and bool(int(mask[1], 16) >> (number - 1) & 1)


def test_a_request_that_is_half_sent_does_not_hold_up_the_end(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", MODEL)
    with serve(bundle, "--drain-seconds=0", patient=True) as server:

        def slowly() -> Iterator[bytes]:
            yield b'{"customers":["C000003"]'
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            yield b"}"

        answer = server.client.post("/recommend", content=slowly())
        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"
        assert server.process.wait(20) == 0  # before it would be cut off
