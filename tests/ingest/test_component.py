"""The components, run by KFP itself: what resolve tells, ingest insists on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp import dsl, local

from components.artifacts.ratings import RatingsFolder
from components.artifacts.splits import Splits
from pipelines.definition.components import ingest, prepare, resolve
from pipelines.local.sample_data import write_sample
from tests.ingest.sources import put

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dsl.pipeline(name="data")
def pipeline(source: str) -> None:
    resolved = resolve(source=source)
    ingested = ingest(source=source, source_version=resolved.output)
    prepare(ratings=ingested.outputs["ratings"])


def test_the_components_run_in_a_row(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "sample.tsv.gz"
    write_sample(file, 5000, seed=1)
    uri = put(s3, bucket, "a.tsv.gz", file.read_bytes())
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "runs"))
    pipeline(source=uri)
    (ratings,) = (tmp_path / "runs").rglob("ratings/manifest.json")
    (splits,) = (tmp_path / "runs").rglob("splits/manifest.json")
    details = RatingsFolder.open(ratings.parent).manifest.details
    assert details["rows"] == 5000
    assert len(details["source_version"]) == 32
    assert len(Splits.open(splits.parent).test) > 0
    metrics = logged_metrics(tmp_path / "runs")
    assert metrics["ratings"] == 5000
    assert metrics["rejected: wrong number of columns"] == 3
    assert metrics["test_ratings"] == len(Splits.open(splits.parent).test)


@dsl.pipeline(name="cached")
def cached_pipeline(source: str) -> None:
    resolved = resolve(source=source)
    resolved.set_caching_options(False)
    ingest(source=source, source_version=resolved.output)


def test_the_cache_answers_for_the_same_objects_and_not_for_a_changed_one(
    s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(runs), enable_caching=True)

    def upload(seed: int) -> None:
        file = tmp_path / f"sample-{seed}.tsv.gz"
        write_sample(file, 1000, seed=seed)
        put(s3, bucket, "a.tsv.gz", file.read_bytes())

    def times_ingested() -> int:
        cached_pipeline(source=f"s3://{bucket}/a.tsv.gz")
        found = list(runs.rglob("ratings/manifest.json"))
        for manifest in found:
            # Metrics have no file; kfp.local's cache takes an artifact without one for lost.
            manifest.parent.with_name("metrics").touch()
        return len(found)

    upload(seed=1)
    assert [times_ingested(), times_ingested()] == [1, 1]
    upload(seed=2)
    assert times_ingested() == 2


def logged_metrics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in folder.rglob("executor_output.json"):
        artifacts = json.loads(file.read_text()).get("artifacts", {})
        for listed in artifacts.get("metrics", {"artifacts": []})["artifacts"]:
            found |= listed["metadata"]
    return found
