"""A real Spark cluster on loopback, for runs on a laptop and for tests.

It is a master, two workers and a Connect server of Spark's standalone mode, started from pyspark's
package.
"""

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from components.artifacts.scratch import scratch_folder
from components.errors import UserError
from components.processes import child_process
from pipelines.local.object_store import direct_loopback

WORKERS = 2

_START_SECONDS = 300
_SPOKEN = re.compile("ERROR|Exception: ")
_CLASSES = "org.apache.spark"
_MISSING_JAVA = "Spark needs Java 17: type: sudo apt-get install --yes openjdk-17-jre-headless"
_MISSING_PYSPARK = "pyspark is not installed: type: make spark"


@dataclass(frozen=True)
class SparkCluster:
    """A running cluster.

    Attributes:
        environment: the variables by which pyspark, and so every step, finds it.
        workers: the processes of its workers.
    """

    environment: dict[str, str]
    workers: tuple[subprocess.Popen[bytes], ...]


@contextmanager
def serve_spark(variables: Mapping[str, str], memory: str = "") -> Iterator[SparkCluster]:
    """Run a master, two workers of one processor each and a Connect server until the block ends.

    Args:
        variables: what the executors find in their environment, such as the way to S3.
        memory: of an executor's Java, such as 2g; its Python comes on top. By default an eighth of
            this machine's, and 1 GiB at least.

    Raises:
        UserError: if Java or pyspark is missing, or a process ends or is not ready in time.
    """
    home = find_spark()
    with scratch_folder("alsolike-spark-") as folder, ExitStack() as stack:
        cluster = _Starting(home, folder, _environment(folder, variables), stack)
        yield cluster.start(memory or _share_of_memory())


def find_spark() -> Path:
    """The folder of Spark on this machine.

    Raises:
        UserError: if Java or pyspark is missing.
    """
    found = importlib.util.find_spec("pyspark")
    if found is None or not found.submodule_search_locations:
        raise UserError(_MISSING_PYSPARK)
    home = os.environ.get("JAVA_HOME")
    if not shutil.which(f"{home}/bin/java" if home else "java"):
        raise UserError(_MISSING_JAVA)
    return Path(found.submodule_search_locations[0])


def _share_of_memory() -> str:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{max(1 << 30, machine // 8)}b"


def _environment(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    own = {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder),
        "SPARK_CONF_DIR": str(folder),
        "SPARK_LOG_DIR": str(folder),
        "SPARK_DAEMON_MEMORY": "1g",
        "PYSPARK_PYTHON": sys.executable,
        # Java keeps a file about each process in /tmp, which outlives one that is killed. The rest
        # is for short runs on few processors.
        "JDK_JAVA_OPTIONS": f"-XX:-UsePerfData -Djava.io.tmpdir={folder} -XX:+UseSerialGC "
        "-XX:TieredStopAtLevel=1",
    }
    # Another Spark that the surroundings name is left alone.
    around = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
    return {**around, **variables, **direct_loopback(os.environ), **own}


@dataclass(frozen=True)
class _Starting:
    """Starts the processes of a cluster, one after the other.

    Attributes:
        home: the folder of Spark.
        folder: where they may write.
        environment: their variables.
        stack: ends them.
    """

    home: Path
    folder: Path
    environment: dict[str, str]
    stack: ExitStack

    def start(self, memory: str) -> SparkCluster:
        master, connect = _free_port(), _free_port()
        _write_settings(self.folder / "spark-defaults.conf", memory, connect)
        address = f"spark://127.0.0.1:{master}"
        place = ["--host", "127.0.0.1", "--webui-port", "0"]
        self._process("deploy.master.Master", [*place, "--port", str(master)], master)
        of_worker = ["--cores", "1", "--memory", memory, "--work-dir", str(self.folder), address]
        workers = [
            self._process("deploy.worker.Worker", [*place, *of_worker]) for _ in range(WORKERS)
        ]
        server = f"{_CLASSES}.sql.connect.service.SparkConnectServer"
        options = ["--master", address, "--class", server, "spark-internal"]
        self._run([self.home / "bin" / "spark-submit", *options], "connect", connect)
        remote = {"SPARK_REMOTE": f"sc://127.0.0.1:{connect}"}
        return SparkCluster(remote | direct_loopback(os.environ), tuple(workers))

    def _process(
        self, name: str, arguments: list[str], port: int | None = None
    ) -> subprocess.Popen[bytes]:
        command: list[str | Path] = [
            self.home / "bin" / "spark-class",
            f"{_CLASSES}.{name}",
            *arguments,
        ]
        return self._run(command, name, port)

    def _run(
        self, command: list[str | Path], name: str, port: int | None
    ) -> subprocess.Popen[bytes]:
        log = self.folder / f"{name}-{time.monotonic_ns()}.log"
        output = self.stack.enter_context(log.open("wb"))
        process = self.stack.enter_context(
            child_process(
                command,
                output=output,
                environment=self.environment,
                folder=self.folder,
                ending=signal.SIGKILL,
            )
        )
        if port:
            _wait_until_ready(port, process, log)
        return process


def _write_settings(file: Path, memory: str, port: int) -> None:
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": port,
        "spark.executor.memory": memory,
        "spark.master.rest.enabled": "false",
        "spark.sql.shuffle.partitions": WORKERS,
        # To plan and compile takes longer here than to compute.
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.warehouse.dir": file.with_name("warehouse"),
        "spark.ui.enabled": "false",
    }
    file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    said = [line for line in log.read_text(errors="replace").splitlines() if _SPOKEN.search(line)]
    last = said[-1] if said else "it said nothing"
    raise UserError(f"Spark did not start on this machine: {last}")
