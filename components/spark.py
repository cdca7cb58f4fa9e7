"""What steps share that run on Apache Spark: the way to it, and tables in parts.

Executors need this package and what the image `spark` holds. Where Spark is, pyspark's own variable
says: `SPARK_REMOTE`, the address of a Spark Connect server.

Executors write and read tables in parts, the files `part-00000.parquet`, `part-00001.parquet`, … of
a folder; in the order of their names, they are the table.
"""

import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import UserError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

REMOTE = "SPARK_REMOTE"
_PORT = 15002
_ANSWER_SECONDS = 20

_LAST_RETRY = 4  # after some 5 seconds in all: a server that was started again has lost the work

_TOLD = re.compile(rf"\b{UserError.__module__}\.{UserError.__qualname__}: (.*)")
# Spark reports what the last attempt of a task met. That may be an executor that is shutting down,
# without the reason.
_OUT_OF_MEMORY = re.compile(
    r"OutOfMemoryError|MemoryError|OOMKilled|ExecutorLostFailure|Python worker exited|"
    r"TaskRunner@\w+ rejected"
)

Task = TypeVar("Task")
Batches = Iterator[pa.RecordBatch]


@contextmanager
def spark_session(step: str) -> Iterator["SparkSession"]:
    """Spark, for as long as the block lasts.

    Args:
        step: what Spark's own pages call the work.

    Raises:
        UserError: if nothing says where Spark is, it does not answer or ends, an executor raises
            one, or runs out of memory.
    """
    address = _check_address()
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
        from pyspark.sql.connect.client.retries import DefaultPolicy
    except ImportError as error:
        raise UserError(f"engine=spark, and {error.name} is missing: type: make spark") from None
    session = SparkSession.builder.appName(f"alsolike {step}").remote(address).create()
    try:
        session.client.set_retry_policies([DefaultPolicy(max_retries=_LAST_RETRY)])
        session.conf.set("spark.sql.session.timeZone", "UTC")
        yield session
    except PySparkException as error:
        raise _explain(error, address) from None
    finally:
        session.stop()


def _explain(error: Exception, address: str) -> Exception:
    """What to tell a user of an error of Spark; the error itself if a user cannot mend it."""
    words = str(error)
    if told := _TOLD.search(words):
        return UserError(told[1])
    if _OUT_OF_MEMORY.search(words):
        return UserError(
            "an executor of Spark ended again and again, which it does when it is out of memory: "
            "raise spark.executor.memory, or spark.executor.memoryOverhead for its Python, where "
            "Spark is started"
        )
    try:
        _check_address()
    except UserError:
        return UserError(
            f"Spark at {address} has ended or is out of reach: start it, and run again"
        )
    return error


def _check_address() -> str:
    """The address of Spark Connect, once something answers there."""
    address = os.environ.get(REMOTE, "")
    if not address:
        raise UserError(
            f"engine=spark, and nothing says where Spark is: on a laptop, run the pipeline by make "
            f"run ENGINE=spark; elsewhere, set {REMOTE} to the address of a server of Spark "
            f"Connect, such as sc://spark.example.com:15002"
        )
    try:
        place = urlsplit(address)
        with socket.create_connection((place.hostname, place.port or _PORT), _ANSWER_SECONDS):
            return address
    except (OSError, ValueError) as error:
        raise UserError(f"Spark does not answer at {REMOTE}={address}: {error}") from None


def spread(
    spark: "SparkSession",
    tasks: Sequence[Task],
    function: Callable[[Task], Iterable[pa.RecordBatch]],
    schema: str,
) -> "DataFrame":
    """The rows that a function makes of each task, on the executors.

    Args:
        spark: where to.
        tasks: each a task of Spark's, tried again if its executor is lost.
        function: of a task; must do the same each time.
        schema: of the rows, in the words of Spark's SQL.
    """

    def run(numbers: Batches) -> Batches:
        for batch in numbers:
            for number in batch["id"].to_pylist():
                yield from function(tasks[number])

    return spark.range(0, len(tasks), 1, len(tasks)).mapInArrow(run, schema)


def read_table(
    spark: "SparkSession",
    path: Path,
    schema: str,
    make: Callable[[pa.Table], pa.Table] = lambda table: table,
) -> "DataFrame":
    """A table of an artifact, in one file or in parts.

    Args:
        spark: where to.
        path: of the file, or the folder of the parts.
        schema: of the rows, in the words of Spark's SQL.
        make: turns rows of the table into those.
    """
    groups = [
        (str(file), group)
        for file in (parts_of(path) if path.is_dir() else [path])
        for group in range(pq.read_metadata(file).num_row_groups)
    ]

    def read(task: tuple[str, int]) -> Iterable[pa.RecordBatch]:
        file, group = task
        with pq.ParquetFile(file) as opened:
            batches: list[pa.RecordBatch] = make(opened.read_row_group(group)).to_batches()
        return batches

    return spread(spark, groups, read, schema)


def parts_of(folder: Path) -> list[Path]:
    """The parts of a table, in order."""
    return sorted(folder.glob("part-*.parquet"))


@contextmanager
def part(folder: Path, number: int) -> Iterator[Path]:
    """A file to write, which becomes a part of a table when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"part-{number:05}.parquet"
    partial = file.with_name(f".{file.name}.{uuid4().hex}")
    yield partial
    partial.replace(file)


def write_part(folder: Path, number: int, table: pa.Table) -> None:
    """Write a part of a table; a task that is retried writes the same part again.

    Args:
        folder: the folder of the table.
        number: of the part.
        table: its rows.
    """
    with part(folder, number) as file:
        pq.write_table(table, file)


def part_number() -> int:
    """The number of the partition that this executor is at work on."""
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None
    number: int = context.partitionId()
    return number


def whole(batches: Batches) -> pa.Table | None:
    """All rows of a partition, None if it has none."""
    found = [batch for batch in batches if len(batch)]
    return pa.Table.from_batches(found) if found else None


def one_row(**values: Any) -> pa.RecordBatch:
    """A batch of one row, with these values by column."""
    return pa.RecordBatch.from_pylist([values])
