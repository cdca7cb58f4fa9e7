"""The resources of a training run: the expected memory; measured memory, CPU and GPU."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import psutil
import pynvml

from components.train.driver import bus_address
from components.train.settings import TrainSettings
from components.train.sizes import (
    ALS_WIDTH,
    BAYES_RANK,
    BAYES_SIGNALS,
    GROUP_ROWS,
    packed_width,
)

log = logging.getLogger(__name__)

_SECONDS_BETWEEN = 0.25
_MOST_SAMPLES = 200
_FLOAT = 4
# Numbers that bayes keeps for a customer (means and features), for a product (its part in the
# customers' systems of equations), and in one system of normal equations.
_BAYES_WIDTH = BAYES_RANK + 1
_BAYES_CUSTOMER = _BAYES_WIDTH + 3 + BAYES_SIGNALS
_BAYES_PRODUCT = packed_width(_BAYES_WIDTH) + _BAYES_WIDTH
_BAYES_SYSTEM = _BAYES_WIDTH**2
_BAYES_BLOCK = 1 << 16
# The vectors, gradients, optimizer state and export of a table, each as large as the table.
_COPIES = 4
# A checkpoint as arrays, and its copy on the way to S3.
_COPIES_OF_CHECKPOINT = 2
_COPIES_OF_RATINGS = 16
# The memory of a block of histories, measured on MovieLens-100K.
_WORKSPACE_ROWS = 32 << 13


@dataclass
class Usage:
    """The resources that a program used over time.

    Attributes:
        samples: in order of time: `seconds` since the start, `cpu_percent` (100 is one core),
            `memory_mib` (resident), and over all GPUs used, where they report it, `gpu_percent`
            (mean) and `gpu_memory_mib` (sum).
    """

    samples: list[dict[str, float]] = field(default_factory=list)

    def peak(self, name: str) -> float:
        """The largest value of a quantity."""
        return max(sample[name] for sample in self.samples)

    @property
    def description(self) -> dict[str, Any]:
        """Values for JSON: the peaks, and as many samples as a plot can show."""
        thinned = self.samples[:: -(-len(self.samples) // _MOST_SAMPLES)]
        names = [name for name in self.samples[0] if name.endswith("_mib")]
        return {"samples": thinned, **{f"peak_{name}": self.peak(name) for name in names}}


def expected_memory(customers: int, products: int, ratings: int, settings: TrainSettings) -> float:
    """Estimate the peak memory of training in MiB, without the program itself.

    The objectives are trained one after the other, so the larger one counts.

    Args:
        customers: the number of customers.
        products: the number of products.
        ratings: the number of ratings to train on.
        settings: the settings of the step.
    """
    network = (customers + products) * (settings.num_embeddings + 1)
    group, block = min(customers, GROUP_ROWS), min(customers, _BAYES_BLOCK)
    bayes = customers * _BAYES_CUSTOMER + products * _BAYES_PRODUCT
    bayes += group * _BAYES_PRODUCT // 2 + block * _BAYES_SYSTEM
    by_model = {"mf": network, "mlp": network, "bayes": bayes, "auto": max(network, bayes)}
    als = (customers + products) * ALS_WIDTH
    linear = products * settings.ranking_dimensions
    copies = _COPIES + _COPIES_OF_CHECKPOINT * bool(settings.checkpoints)
    by_objective = {
        "rating": copies * by_model[settings.rating_model],
        "ranking": _COPIES * max(als, linear) + _WORKSPACE_ROWS * settings.ranking_dimensions,
    }
    largest = max(by_objective[name] for name in settings.chosen)
    return (largest + _COPIES_OF_RATINGS * ratings) * _FLOAT / 2**20


def resident_memory() -> float:
    """The resident memory of this process now, in MiB."""
    resident: int = psutil.Process().memory_info().rss
    return resident / 2**20


@contextmanager
def watch(gpus: Sequence[int]) -> Iterator[Usage]:
    """Measure this process, and the GPUs it uses, until the block ends."""
    usage, over = Usage(), threading.Event()
    process, start = psutil.Process(), time.monotonic()
    process.cpu_percent()
    with _opened(gpus) as handles:
        gauges = {name: read for name, read in _GAUGES.items() if _works(name, handles)}

        def sample() -> None:
            # A GPU that cannot be read for a moment must not end the training.
            with suppress(pynvml.NVMLError):
                usage.samples.append(
                    {
                        "seconds": round(time.monotonic() - start, 2),
                        "cpu_percent": process.cpu_percent(),
                        "memory_mib": round(resident_memory(), 1),
                        **{name: read(handles) for name, read in gauges.items()},
                    }
                )

        def keep_sampling() -> None:
            while not over.wait(_SECONDS_BETWEEN):
                sample()

        sample()
        thread = threading.Thread(target=keep_sampling, daemon=True)
        thread.start()
        try:
            yield usage
        finally:
            over.set()
            thread.join()
            sample()


def _mean_rate(handles: Sequence[Any]) -> float:
    return fmean(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu for handle in handles)


def _memory(handles: Sequence[Any]) -> float:
    used: int = sum(pynvml.nvmlDeviceGetMemoryInfo(handle).used for handle in handles)
    return round(used / 2**20, 1)


_GAUGES: dict[str, Callable[[Sequence[Any]], float]] = {
    "gpu_percent": _mean_rate,
    "gpu_memory_mib": _memory,
}


def _works(name: str, handles: Sequence[Any]) -> bool:
    """Whether these GPUs report this quantity: a slice of a GPU (MIG) has no utilization."""
    if not handles:
        return False
    try:
        _GAUGES[name](handles)
    except pynvml.NVMLError as error:
        log.warning("%s is not measured: %s", name, error)
        return False
    return True


@contextmanager
def _opened(gpus: Sequence[int]) -> Iterator[list[Any]]:
    """NVML's handles of the GPUs; none, with a warning, where NVML does not work."""
    handles = []
    try:
        if gpus:
            pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByPciBusId(bus_address(number)) for number in gpus]
    except (OSError, pynvml.NVMLError) as error:
        log.warning("the GPUs are not measured: %s", error)
    try:
        yield handles
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
