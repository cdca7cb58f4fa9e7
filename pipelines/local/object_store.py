"""Run a real S3 server on loopback, for runs on this machine and for tests."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from components.errors import UserError
from components.polling import poll
from components.processes import child_process

# The ports of SeaweedFS. For each it also opens the port 10000 above it, for gRPC.
_PORTED = ("master", "filer", "volume", "admin", "s3")
_GRPC = 10000
_START_SECONDS = 30
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class ObjectStore:
    """The address of a running S3 server, and its keys."""

    endpoint: str
    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables by which boto3, and so every step, finds this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            **direct_loopback(os.environ),
        }


def direct_loopback(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that exclude loopback from the proxy.

    Args:
        environment: has the other exclusions, which are kept.
    """
    excepted = environment.get("no_proxy", environment.get("NO_PROXY", ""))
    if excepted != "*":
        excepted = ",".join(filter(None, (excepted, "127.0.0.1", "localhost")))
    return {"NO_PROXY": excepted, "no_proxy": excepted}


@contextmanager
def serve_object_store() -> Iterator[ObjectStore]:
    """Run an S3 server on free ports, with keys of its own, while the block lasts.

    Raises:
        UserError: if the server ends, or is not ready in time, with its last line of output.
    """
    folder = Path(tempfile.mkdtemp(prefix="alsolike-s3-"))
    ports = _free_ports(len(_PORTED))
    try:
        (folder / "data").mkdir()
        access_key, secret_key = secrets.token_hex(10), secrets.token_hex(20)
        _write_keys(folder / "s3.json", access_key, secret_key)
        log = folder / "log"
        with (
            log.open("wb") as output,
            child_process(
                _command(folder, dict(zip(_PORTED, ports, strict=True))),
                output=output,
                # The server would take credentials in the environment for its own.
                environment={k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
                folder=folder,
                ending=signal.SIGKILL,
            ) as process,
        ):
            endpoint = f"http://127.0.0.1:{ports[-1]}"
            _wait_until_ready(endpoint, process, log)
            yield ObjectStore(endpoint, access_key, secret_key)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for port in ports:
            for socket_file in _socket_files(port):
                socket_file.unlink(missing_ok=True)


def _write_keys(file: Path, access_key: str, secret_key: str) -> None:
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    identity = {"name": "alsolike", "credentials": credentials, "actions": actions}
    file.touch(mode=0o600)
    file.write_text(json.dumps({"identities": [identity]}))


def _free_ports(count: int) -> list[int]:
    """Free ports; the port 10000 above each is free too."""
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as low, socket.socket() as high, suppress(OSError, OverflowError):
            low.bind(("127.0.0.1", 0))
            port = low.getsockname()[1]
            high.bind(("127.0.0.1", port + _GRPC))
            if port not in ports and not _socket_files(port):
                ports.append(port)
    return ports


def _socket_files(port: int) -> list[Path]:
    """The socket files that SeaweedFS makes for a port and leaves behind, also of other users."""
    numbers = (port, port + _GRPC)
    return [file for n in numbers for file in Path("/tmp").glob(f"seaweedfs-*-{n}.sock")]


def _command(folder: Path, ports: dict[str, int]) -> list[str | Path]:
    return [
        Path(sys.executable).with_name("weed"),
        f"-logdir={folder}",
        "mini",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={folder / 's3.json'}",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        # Each bucket has its own volumes. With their default size, a disk with little free space
        # has room for a few buckets only.
        "-master.volumeSizeLimitMB=32",
        *("-master.telemetry=false", "-webdav=false", "-admin.ui=false"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-s3.allowDeleteBucketNotEmpty=false", "-s3.autoCreateBucket=false"),
    ]


def _wait_until_ready(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    direct = build_opener(ProxyHandler({}))

    def last_line() -> str:
        return log.read_text(errors="replace").strip().rpartition("\n")[2] or "no output"

    def look() -> bool | None:
        if process.poll() is not None:
            raise UserError(f"the S3 server of this run ended: {last_line()}: run it again")
        with suppress(OSError), direct.open(f"{endpoint}/healthz", timeout=1) as answer:
            return answer.status == 200 or None
        return None

    def not_ready() -> str:
        return f"the S3 server of this run ({last_line()}) was not ready"

    poll(look, not_ready, _START_SECONDS, pause=_POLL_SECONDS)
