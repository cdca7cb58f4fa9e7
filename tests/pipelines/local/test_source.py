"""A missing source is named as given; variables alone tell a container how to reach one in S3."""

from pathlib import Path

import pytest

from components.errors import UserError
from pipelines.local.object_store import ObjectStore
from pipelines.local.source import portable_variables, upload


@pytest.fixture(autouse=True)
def _no_other_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_a_profile_becomes_its_keys_and_region(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "credentials").write_text(
        "[work]\naws_access_key_id=id\naws_secret_access_key=alsolike-secret\naws_session_token=token\n"
    )
    (tmp_path / "config").write_text("[profile work]\nregion=eu-central-1\n")
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    found = portable_variables()
    assert found["AWS_ACCESS_KEY_ID"] == "id"
    assert found["AWS_SECRET_ACCESS_KEY"] == "alsolike-secret"
    assert found["AWS_SESSION_TOKEN"] == "token"
    assert found["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert "AWS_PROFILE" not in found
    assert not [value for value in found.values() if str(tmp_path) in value]


def test_without_credentials_none_are_made_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & portable_variables().keys()


def test_a_proxy_and_its_exceptions_are_those_of_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    found = portable_variables()
    assert found["HTTPS_PROXY"] == "http://proxy.example.com:3128"
    assert found["no_proxy"] == "127.0.0.1"


@pytest.mark.parametrize("source", ["https://example.com/a.csv", "nowhere/a.csv"])
def test_a_source_that_is_not_there_is_told_as_it_was_given(
    source: str, object_store: ObjectStore
) -> None:
    with pytest.raises(UserError, match=f"^there is no {source}: give a file, a folder, or s3://"):
        upload(Path(source), object_store, "ratings")
