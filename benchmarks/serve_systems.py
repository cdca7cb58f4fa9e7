"""The servers that `serve` compares, each started on one core and ended when it is done with."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from components.deploy.server import free_port

KSERVE = ("kserve==0.21.0",)
# Its mxnet needs a NumPy of before 1.24.
NOTEBOOK = ("multi-model-server==1.1.11", "mxnet==1.9.1", "numpy==1.23.5", "pandas==2.3.3")
_SECONDS_TO_START = 60
_HERE = Path(__file__).parent
_THIS_PACKAGE = ("--editable", f"{_HERE.parent}[serve]")
UVICORN = ("uvicorn==0.54.0", "uvloop", "httptools", *_THIS_PACKAGE)
GRANIAN = ("granian==2.8.7", "uvloop", *_THIS_PACKAGE)

_NGINX = """
daemon off;
pid nginx.pid;
worker_processes 1;
events {{}}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  default_type application/json;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 '{answer}'; }}
  }}
}}
"""
_MULTI_MODEL_SERVER = """
inference_address=http://127.0.0.1:{port}
management_address=http://127.0.0.1:{management_port}
model_store={store}
load_models=recommender=recommender
default_workers_per_model=1
"""


@dataclass(frozen=True)
class System:
    """A server that is ready.

    Attributes:
        url: where it listens.
        pid: of its process, or of the parent of those that answer.
        seconds_to_ready: from its start to the first good answer.
    """

    url: str
    pid: int
    seconds_to_ready: float


@contextmanager
def ours(bundle: Path, folder: Path, core: int) -> Iterator[System]:
    """One worker, without a log of its requests, as the others."""
    port = free_port()
    command = [sys.executable, "-m", "components.serve", f"--bundle={bundle}", f"--port={port}"]
    command += ["--workers=1", "--no-access-log"]
    with _running(command, folder, core, port, "/v2/health/ready") as system:
        yield system


@contextmanager
def nginx(answer: str, folder: Path, core: int) -> Iterator[System]:
    """One worker of nginx that returns a constant, without a log."""
    port, folder = free_port(), folder / "nginx"
    folder.mkdir()
    (folder / "nginx.conf").write_text(_NGINX.format(port=port, answer=answer))
    command = ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    with _running(command, folder, core, port, "/") as system:
        yield system


@contextmanager
def uvicorn(python: Path, bundle: Path, folder: Path, core: int) -> Iterator[System]:
    """The same handlers behind uvicorn, with the loop and the parser that it is fastest with."""
    port, program = free_port(), python.with_name("uvicorn")
    command = [str(program), "--factory", "benchmarks.serve_frameworks:make_asgi", f"--port={port}"]
    command += ["--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"]
    with _running(command, folder, core, port, "/v2/health/ready", None, _bundle(bundle)) as system:
        yield system


@contextmanager
def granian(python: Path, bundle: Path, folder: Path, core: int) -> Iterator[System]:
    """The same handlers behind Granian, by RSGI, its fastest protocol."""
    port, program = free_port(), python.with_name("granian")
    command = [str(program), "--factory", "benchmarks.serve_frameworks:make_rsgi", f"--port={port}"]
    command += ["--interface=rsgi", "--loop=uvloop", "--workers=1", "--log-level=warning"]
    with _running(command, folder, core, port, "/v2/health/ready", None, _bundle(bundle)) as system:
        yield system


def _bundle(folder: Path) -> dict[str, str]:
    return {
        "BENCHMARK_BUNDLE": str(folder),
        "PYTHONPATH": str(_HERE.parent),
        "OPENBLAS_NUM_THREADS": "1",  # as a worker of our server has it
    }


@contextmanager
def kserve(python: Path, model: Path, folder: Path, core: int) -> Iterator[System]:
    """KServe's Python server in an environment with it."""
    port, program = free_port(), _HERE / "serve_kserve.py"
    command = [str(python), str(program), str(model), str(port)]
    with _running(command, folder, core, port, "/v2/health/ready") as system:
        yield system


@contextmanager
def notebook(python: Path, model: Path, folder: Path, core: int) -> Iterator[System]:
    """The notebook's handler under multi-model-server in an environment with both."""
    port, management_port = _low_ports(2)
    folder, handler = folder / "notebook", _HERE / "serve_notebook.py"
    store = folder / "store"
    store.mkdir(parents=True)
    subprocess.run([python, handler, model / "ids.json", store / "recommender"], check=True)
    shutil.copy(handler, store / "recommender")
    manifest = {"runtime": "python", "model": {"handler": "serve_notebook:handle"}}
    (store / "recommender" / "MAR-INF").mkdir()
    (store / "recommender" / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
    settings = _MULTI_MODEL_SERVER.format(port=port, management_port=management_port, store=store)
    (folder / "config.properties").write_text(settings)
    program = python.with_name("multi-model-server")
    command = [str(program), "--start", "--foreground", "--mms-config", "config.properties"]
    asked = (model / "columns.txt").read_bytes().splitlines()[0]
    environment = {"TEMP": str(folder), "TMPDIR": str(folder)}
    with _running(
        command, folder, core, port, "/predictions/recommender", asked, environment
    ) as system:
        yield system


def _low_ports(count: int) -> list[int]:
    """Free ports that multi-model-server takes, which knows none above 32,767."""
    found: list[int] = []
    for port in range(20_000, 32_768):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no port below 32,768 is free")


def environment_with(folder: Path, requirements: tuple[str, ...]) -> Path:
    """The Python of an environment with these packages, made once."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--quiet", *requirements]
    subprocess.run(pip, check=True, stdout=sys.stderr)
    return python


@contextmanager
def _running(
    command: list[str],
    folder: Path,
    core: int,
    port: int,
    path: str,
    body: bytes | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[System]:
    """A server's process, from its first good answer at `path` to the end of the block."""
    start, url = time.perf_counter(), f"http://127.0.0.1:{port}"
    log = folder / f"{port}.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *command],
            cwd=folder,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        ) as process,
    ):
        try:
            if not _answers(
                process, Request(url + path, body, {"Content-Type": "application/json"})
            ):
                raise RuntimeError(f"{command[0]} does not answer:\n{log.read_text()[-2000:]}")
            yield System(url, process.pid, time.perf_counter() - start)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def _answers(process: "subprocess.Popen[bytes]", request: Request) -> bool:
    """Whether it answers well before it ends and in time."""
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urlopen(request, timeout=5):
            return True
        time.sleep(0.005)
    return False
