"""What a run takes is measured while it runs, and expected in proportion to its tables."""

import logging
import time

import numpy as np
import pynvml
import pytest

from components.train.resources import _MOST_SAMPLES, Usage, expected_memory, watch
from components.train.settings import TrainSettings
from tests.train.gpus import Driver, Gpu, Nvml, install


def test_memory_that_a_run_takes_shows_in_its_peak() -> None:
    with watch(()) as usage:
        before = usage.peak("memory_mib") if usage.samples else 0
        block = np.ones(64 << 20, np.uint8)
        taken = len(usage.samples)
        while len(usage.samples) < taken + 2:  # one of them began after the block was there
            time.sleep(0.01)
        del block
    with watch(()) as idle:
        pass
    assert usage.peak("memory_mib") >= max(before, idle.peak("memory_mib") + 32)
    assert [sample["seconds"] for sample in usage.samples] == sorted(
        sample["seconds"] for sample in usage.samples
    )


def test_a_long_run_is_described_by_few_samples_and_its_true_peak() -> None:
    samples = [{"seconds": float(i), "cpu_percent": 1.0, "memory_mib": 1.0} for i in range(1000)]
    samples[333]["memory_mib"] = 9.0
    description = Usage(samples).description
    assert len(description["samples"]) <= _MOST_SAMPLES
    assert description["peak_memory_mib"] == 9.0


def test_a_network_needs_memory_in_proportion_to_its_tables() -> None:
    def expected(width: int, customers: int) -> float:
        settings = TrainSettings(objectives="rating", rating_model="mf", num_embeddings=width)
        return expected_memory(customers, 1000, 0, settings)

    assert expected(63, 99_000) == 4 * 100_000 * 64 * 4 / 2**20
    assert expected(63, 199_000) == 2 * expected(63, 99_000)


def test_what_is_kept_in_checkpoints_counts_as_well() -> None:
    settings = {"objectives": "rating", "rating_model": "mf"}
    plain, kept = (
        expected_memory(10_000, 1000, 0, TrainSettings.model_validate(settings | more))
        for more in ({}, {"checkpoints": "s3://bucket/checkpoints"})
    )
    assert kept == 1.5 * plain


def test_bayes_keeps_little_of_a_customer() -> None:
    """Means and features: the covariances alone would be 289 numbers."""
    settings = TrainSettings(objectives="rating", rating_model="bayes")
    few, many = (expected_memory(n, 1000, 0, settings) for n in (10_000_000, 20_000_000))
    assert many - few == 10_000_000 * 4 * (17 + 19) * 4 / 2**20


def test_an_objective_that_is_left_out_needs_nothing() -> None:
    both = expected_memory(1000, 1000, 0, TrainSettings(ranking_dimensions=4096))
    assert expected_memory(1000, 1000, 0, TrainSettings(objectives="rating")) < both


IDLE = Gpu("0000:01:00.0")
BUSY = Gpu("0000:02:00.0", percent=90, used_mib=8000)
HALF = Gpu("0000:03:00.0", percent=50, used_mib=4000)
NOT_SUPPORTED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    """A machine with three GPUs, of which CUDA shows two, in an order of its own."""
    nvml = Nvml({gpu.address: gpu for gpu in (IDLE, BUSY, HALF)})
    install(monkeypatch, Driver([HALF, BUSY]), nvml)
    return nvml


def test_the_gpus_that_cuda_shows_are_measured_not_those_of_the_same_number(nvml: Nvml) -> None:
    with watch([0]) as first:
        pass
    with watch([0, 1]) as both:
        pass
    assert (first.peak("gpu_percent"), first.peak("gpu_memory_mib")) == (50, 4000)
    assert (both.peak("gpu_percent"), both.peak("gpu_memory_mib")) == (70, 12000)
    assert both.description["peak_gpu_memory_mib"] == 12000
    assert nvml.running == 0


def test_a_gpu_that_tells_no_rate_is_measured_without(
    nvml: Nvml, caplog: pytest.LogCaptureFixture
) -> None:
    nvml.failing["nvmlDeviceGetUtilizationRates"] = NOT_SUPPORTED
    with caplog.at_level(logging.WARNING), watch([0]) as usage:
        pass
    assert caplog.messages == ["gpu_percent is not measured: Not Supported"]
    assert {frozenset(sample) for sample in usage.samples} == {
        frozenset({"seconds", "cpu_percent", "memory_mib", "gpu_memory_mib"})
    }


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetHandleByPciBusId"])
def test_training_goes_on_where_gpus_cannot_be_measured(
    function: str, nvml: Nvml, caplog: pytest.LogCaptureFixture
) -> None:
    nvml.failing[function] = pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    with caplog.at_level(logging.WARNING), watch([0]) as usage:
        pass
    assert "the GPUs are not measured: NVML Shared Library Not Found" in caplog.text
    assert usage.peak("memory_mib") > 0
    assert nvml.running == 0


def test_a_gpu_that_cannot_be_read_for_a_while_leaves_a_gap(nvml: Nvml) -> None:
    with watch([0]) as usage:
        nvml.failing["nvmlDeviceGetMemoryInfo"] = NOT_SUPPORTED
    assert len(usage.samples) == 1
    assert usage.description["peak_gpu_memory_mib"] == 4000
