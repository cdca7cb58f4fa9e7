"""What lies in the layers: no credentials, nothing of the build, the same for the same inputs."""

import re
import tarfile
from collections.abc import Iterable, Iterator
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.images import Image

from pipelines.images.building import NAMES, build
from tests.images.containers import BASE, layers_beyond_base

pytestmark = [pytest.mark.docker, pytest.mark.slow]

# Larger files are compiled libraries and the like.
TEXT_BYTES = 1 << 20
CREDENTIALS = re.compile(
    rb"\b(AKIA|ASIA)(?![A-Z0-9]*EXAMPLE)[A-Z0-9]{16}\b"
    rb"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\\n]+[A-Za-z0-9+/=\s\\]{64}"
    rb"|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bpypi-AgEI[\w-]{50}|\bxox[abp]-\d{10}"
    rb"|https?://[\w.%-]+:[\w.%-]{3,}@(?!host|example|user|proxy|localhost|some|my|test)[\w-]+\.\w"
)
LEFT_BEHIND = re.compile(
    r"(^|/)(\.netrc|\.pypirc|\.aws|\.docker|\.ssh|\.git|\.cache|\.bash_history)(/|$)"
    r"|ca-bundle|(^|/)pip\.conf$|^(build|package|image)(/|$)|^root/.|\.whl$|\.deb$"
    r"|^var/(log|cache/apt|lib/apt/lists)/.*[^/]\.(log|bin|deb|xz|lz4)$"
)


class Chunks(RawIOBase):
    """A stream of chunks, read as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def files_of_layers(image: Image) -> Iterator[tuple[str, bytes]]:
    """The files of all layers, of large ones the beginning, and the configuration."""
    chunks: Any = Chunks(image.save(chunk_size=1 << 20))
    saved = BufferedReader(chunks)
    with tarfile.open(fileobj=saved, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None:
                continue
            if member.name.endswith(".json"):
                yield member.name, content.read()
                continue
            try:
                with tarfile.open(fileobj=content, mode="r|*") as layer:
                    for file in layer:
                        data = layer.extractfile(file) if file.isfile() else None
                        yield file.name.removeprefix("./"), data.read(TEXT_BYTES) if data else b""
            except tarfile.ReadError:  # one of the engine's own small files
                continue


@pytest.fixture(scope="module")
def of_base(engine: docker.DockerClient, built: dict[str, Image]) -> set[str]:
    """The paths of the base, which are not ours to choose."""
    return {path for path, _ in files_of_layers(engine.images.get(built["serve"].labels[BASE]))}


def test_no_layer_holds_credentials_or_what_the_build_left(
    built: dict[str, Image], of_base: set[str], name: str
) -> None:
    found: set[str] = set()
    count = 0
    for path, content in files_of_layers(built[name]):
        count += 1
        found.update(f"{path}: {secret.group()!r}" for secret in CREDENTIALS.finditer(content))
        if path not in of_base and LEFT_BEHIND.search(path):
            found.add(path)
    assert count > len(of_base) + 1000
    assert found == set()


def test_the_search_finds_what_it_looks_for() -> None:
    key = b"-----BEGIN RSA PRIVATE " + b"KEY-----\n" + b"A" * 64
    for secret in (b"AKIA" + b"ABCDEFGHIJKLMNOP", key, b"https://me:" + b"pass@registry.io"):
        assert CREDENTIALS.search(b"x = " + secret + b"\n")
    assert LEFT_BEHIND.search("root/.netrc")
    assert LEFT_BEHIND.search("build/ca-bundle.pem")


def test_the_same_inputs_give_the_same_layers_and_no_certificate_is_in_them(
    engine: docker.DockerClient,
    built: dict[str, Image],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = built["serve"].labels[BASE]
    trusted = Path("/etc/ssl/certs/ca-certificates.crt").read_bytes()
    mark = b"# of the proxy of this test\n"
    layers = []
    for no_cache in (False, True):
        if no_cache:
            bundle = tmp_path / "bundle.pem"
            bundle.write_bytes(mark + trusted)
            monkeypatch.setenv("PIP_CERT", str(bundle))
        build(engine, "serve", base, None, None, no_cache=no_cache, say=print)
        image = engine.images.get(NAMES["serve"])
        layers.append(layers_beyond_base(engine, image))
    assert layers[0] == layers[1]
    assert not [path for path, content in files_of_layers(image) if mark in content]
