"""What a run takes is measured while it runs, and expected in proportion to its tables."""

import time

import numpy as np

from components.train.resources import _MOST_SAMPLES, Usage, expected_memory, watch
from components.train.settings import TrainSettings


def test_memory_that_a_run_takes_shows_in_its_peak() -> None:
    with watch(()) as usage:
        before = usage.peak("memory_mib") if usage.samples else 0
        block = np.ones(64 << 20, np.uint8)
        time.sleep(0.6)
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


def test_an_objective_that_is_left_out_needs_nothing() -> None:
    both = expected_memory(1000, 1000, 0, TrainSettings(ranking_dimensions=4096))
    assert expected_memory(1000, 1000, 0, TrainSettings(objectives="rating")) < both
