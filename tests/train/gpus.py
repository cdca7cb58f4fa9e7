"""GPUs that are not there: a stand-in for NVIDIA's driver and for its library of figures."""

import ctypes
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver and NVML tell of it."""

    address: str = "0000:3b:00.0"
    capability: tuple[int, int] = (8, 0)
    percent: int = 0
    used_mib: int = 0


@dataclass
class Driver:
    """The functions of libcuda.so.1 that are called, over the GPUs that CUDA shows.

    Attributes:
        gpus: as CUDA counts them.
        status: what each function answers; 0 is success.
    """

    gpus: list[Gpu]
    status: int = 0

    def __getitem__(self, function: str) -> Any:
        return getattr(self, function)

    def cuInit(self, flags: int) -> int:  # noqa: N802 - named by cuda.h
        assert flags == 0
        return self.status

    def cuDeviceGetAttribute(self, value: Any, attribute: int, number: int) -> int:  # noqa: N802
        value._obj.value = self.gpus[number].capability[{75: 0, 76: 1}[attribute]]
        return self.status

    def cuDeviceGetPCIBusId(self, address: Any, size: int, number: int) -> int:  # noqa: N802
        text = self.gpus[number].address.encode()
        assert len(text) < size
        address.value = text
        return self.status


@dataclass
class Nvml:
    """NVML over every GPU of the machine, in an order of its own.

    Attributes:
        gpus: all of them, by address.
        failing: functions that raise, and what.
        running: how often it was started and not ended.
    """

    gpus: dict[str, Gpu]
    failing: dict[str, Exception] = field(default_factory=dict)
    running: int = 0

    def nvmlInit(self) -> None:  # noqa: N802 - named by NVML
        self._fail("nvmlInit")
        self.running += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        if not self.running:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
        self.running -= 1

    def nvmlDeviceGetHandleByPciBusId(self, address: str) -> Gpu:  # noqa: N802
        self._fail("nvmlDeviceGetHandleByPciBusId")
        return self.gpus[address]

    def nvmlDeviceGetUtilizationRates(self, handle: Gpu) -> SimpleNamespace:  # noqa: N802
        self._fail("nvmlDeviceGetUtilizationRates")
        return SimpleNamespace(gpu=handle.percent)

    def nvmlDeviceGetMemoryInfo(self, handle: Gpu) -> SimpleNamespace:  # noqa: N802
        self._fail("nvmlDeviceGetMemoryInfo")
        return SimpleNamespace(used=handle.used_mib << 20)

    def _fail(self, function: str) -> None:
        if function in self.failing:
            raise self.failing[function]


def install(monkeypatch: pytest.MonkeyPatch, driver: Driver, nvml: Nvml | None = None) -> None:
    """Let this process find these, for the length of a test."""
    monkeypatch.setattr(ctypes, "CDLL", {"libcuda.so.1": driver}.__getitem__)
    for function in vars(Nvml):
        if nvml and function.startswith("nvml"):
            monkeypatch.setattr(pynvml, function, getattr(nvml, function))
