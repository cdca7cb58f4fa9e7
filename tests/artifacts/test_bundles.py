"""The bundle store keeps every version, and changes what is current in one piece."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from threading import Barrier

import boto3
import pytest
from botocore.stub import Stubber

from components.artifacts.bundles import (
    BundleStore,
    FolderStore,
    S3Store,
    current_version,
    open_current,
    open_store,
    previous_version,
    version_of,
)
from components.artifacts.folder import MANIFEST
from components.artifacts.model import Model
from components.errors import UserError
from tests.serve.bundles import make_model, write_bundle


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BundleStore:
    """An empty store of either kind."""
    if request.param == "folder":
        return open_store(str(tmp_path / "store"))
    return open_store(f"s3://{request.getfixturevalue('bucket')}/models/video")


@pytest.fixture
def bundles(tmp_path: Path) -> list[Path]:
    return [write_bundle(tmp_path / f"bundle-{n}", make_model(seed=n)) for n in range(3)]


def test_an_empty_store_has_nothing_current(store: BundleStore, tmp_path: Path) -> None:
    assert store.versions() == []
    assert current_version(store) is None
    assert open_current(store.location, tmp_path / "into") is None


def test_what_is_made_current_is_found_whole(
    store: BundleStore, bundles: list[Path], tmp_path: Path
) -> None:
    version = store.add(bundles[0])
    assert open_current(store.location, tmp_path / "into") is None
    store.make_current(version)
    found = open_current(store.location, tmp_path / "into")
    assert found is not None
    assert version_of(found) == version == version_of(bundles[0])
    assert len(Model.load(found).catalogue.customers) == 30


def test_a_version_is_stored_once(store: BundleStore, bundles: list[Path]) -> None:
    assert store.add(bundles[0]) == store.add(bundles[0])
    assert len(store.versions()) == 1


def test_a_store_tells_when_a_version_was_stored_and_what_it_is(
    store: BundleStore, tmp_path: Path
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    bundle = write_bundle(tmp_path / "b", make_model(), description={"source": "s3://shop/a"})
    told = store.describe(store.add(bundle))
    assert told.description == {"source": "s3://shop/a"}
    assert before <= told.stored_at <= datetime.now(UTC) + timedelta(seconds=2)


def test_the_previous_version_stays_and_can_come_back(
    store: BundleStore, bundles: list[Path]
) -> None:
    first, second, third = (store.add(bundle) for bundle in bundles)
    for version in (first, second, third):
        store.make_current(version)
    assert store.history() == [first, second, third]
    store.make_current(second)
    assert current_version(store) == second
    assert previous_version(store) == third
    assert sorted(store.versions()) == sorted([first, second, third])


def test_of_deployments_at_the_same_time_none_is_lost(
    store: BundleStore, bundles: list[Path]
) -> None:
    versions = [store.add(bundle) for bundle in bundles]
    together = Barrier(len(versions))

    def deploy(version: str) -> None:
        own = open_store(store.location)
        own.history()
        together.wait()
        own.make_current(version)

    with ThreadPoolExecutor(len(versions)) as pool:
        list(pool.map(deploy, versions))
    assert sorted(store.history()) == sorted(versions)


def test_of_the_same_bundle_stored_twice_at_the_same_time_one_is_kept(
    bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By threads, which share a process id as the first processes of two containers do."""
    together, copy = Barrier(2), shutil.copytree

    def copy_together(source: Path, target: Path) -> None:
        copy(source, target)
        together.wait(10)

    monkeypatch.setattr(shutil, "copytree", copy_together)
    with ThreadPoolExecutor(2) as pool:
        stored = list(pool.map(FolderStore(tmp_path / "store").add, [bundles[0]] * 2))
    assert stored == [version_of(bundles[0])] * 2
    assert [path.name for path in (tmp_path / "store" / "versions").iterdir()] == stored[:1]
    assert version_of(tmp_path / "store" / "versions" / stored[0]) == stored[0]


def test_a_removed_version_is_gone_and_the_current_one_stays(
    store: BundleStore, bundles: list[Path], tmp_path: Path
) -> None:
    old, new = (store.add(bundle) for bundle in bundles[:2])
    store.make_current(old)
    store.make_current(new)
    with pytest.raises(UserError, match=f"{new} is current and cannot be removed"):
        store.remove([old, new])
    assert store.history() == [old, new]
    store.remove([old])
    assert (store.versions(), store.history()) == ([new], [new])
    assert store.fetch(new, tmp_path / "fetched").is_dir()


def test_an_unknown_version_is_refused_with_those_there_are(
    store: BundleStore, bundles: list[Path]
) -> None:
    version = store.add(bundles[0])
    with pytest.raises(UserError, match=f"has no version 0123: it has {version}"):
        store.make_current("0123")


def test_a_damaged_bundle_is_not_stored(store: BundleStore, bundles: list[Path]) -> None:
    (bundles[0] / "model.json").write_text("{}")
    with pytest.raises(UserError, match=r"model\.json differs from what its manifest states"):
        store.add(bundles[0])
    assert store.versions() == []


def damage(store: BundleStore, version: str, file: str, bit: int) -> None:
    """Flip a bit in a file of what is stored."""
    if isinstance(store, FolderStore):
        path = Path(store.location_of(version)) / file
        path.write_bytes(flipped(path.read_bytes(), bit))
        return
    assert isinstance(store, S3Store)
    key = store._key("versions", version, file)
    content = store._client.get_object(Bucket=store._bucket, Key=key)["Body"].read()
    store._client.put_object(Bucket=store._bucket, Key=key, Body=flipped(content, bit))


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    bit %= 8 * len(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("file", ["factors.safetensors", "model.json", "history.json", MANIFEST])
def test_a_stored_version_with_a_flipped_bit_is_refused_and_replaced(
    store: BundleStore, bundles: list[Path], tmp_path: Path, file: str
) -> None:
    """Whichever it is: the first, the last, and some at random places."""
    version = store.add(bundles[0])
    for number, bit in enumerate([0, -1, *Random(0).sample(range(1 << 40), 5)]):
        damage(store, version, file, bit)
        with pytest.raises(UserError):
            store.fetch(version, tmp_path / f"damaged-{number}")
        assert store.add(bundles[0]) == version
        assert version_of(store.fetch(version, tmp_path / f"whole-{number}")) == version


@pytest.mark.parametrize(
    "content", ["", '["0123456789ab"', "{}", "[7]", '["../../../etc"]', "[" * 100_000]
)
def test_a_damaged_history_is_told_in_one_line(
    store: BundleStore, bundles: list[Path], tmp_path: Path, content: str
) -> None:
    version = store.add(bundles[0])
    store.make_current(version)
    if isinstance(store, S3Store):
        key = store._key("history.json")
        store._client.put_object(Bucket=store._bucket, Key=key, Body=content.encode())
    else:
        (tmp_path / "store" / "history.json").write_text(content)
    with pytest.raises(UserError, match=r"history\.json is damaged: remove it"):
        store.history()


def test_a_key_that_leads_out_of_its_version_is_refused(tmp_path: Path) -> None:
    """Not every S3 server takes such a key, so this answer is written by hand."""
    store = S3Store("s3://models/video")
    store._client = boto3.client("s3", region_name="us-east-1")
    key = "video/versions/0123456789ab/../../../escaped"
    with Stubber(store._client) as answers:
        answers.add_response("list_objects_v2", {"Contents": [{"Key": key}]})
        with pytest.raises(UserError, match="leads out of its version"):
            store.fetch("0123456789ab", tmp_path / "into")
    assert not list(tmp_path.rglob("escaped"))


def test_an_upload_that_broke_off_is_completed(
    bucket: str, bundles: list[Path], tmp_path: Path
) -> None:
    store = open_store(f"s3://{bucket}/models")
    version = store.add(bundles[0])
    store._client.delete_object(  # type: ignore[attr-defined]
        Bucket=bucket, Key=f"models/versions/{version}/{MANIFEST}"
    )
    assert store.add(bundles[0]) == version
    assert version_of(store.fetch(version, tmp_path / "into")) == version


def test_the_link_decides_when_the_history_was_written_but_not_the_link(
    bundles: list[Path], tmp_path: Path
) -> None:
    store = FolderStore(tmp_path / "store")
    first, second = store.add(bundles[0]), store.add(bundles[1])
    store.make_current(first)
    (tmp_path / "store" / "history.json").write_text(f'["{first}", "{second}"]')
    assert current_version(store) == first


@pytest.mark.usefixtures("s3")
def test_a_bucket_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no-such-bucket/models: .*does not exist: check the bucket"
    ):
        open_current("s3://no-such-bucket/models", tmp_path)
