"""Ratings that every whole run reads."""

from pathlib import Path

import pytest

from pipelines.local.sample_data import write_sample


@pytest.fixture(scope="session")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("source") / "ratings.tsv.gz"
    write_sample(file, rows=20_000, seed=1)
    return file
