"""Measure the size of every image, and of what lies beyond its base."""

import json
from typing import Any

import docker

from benchmarks.readme import RESULTS
from pipelines.images.building import NAMES
from pipelines.images.engine import connect

_BASE = "org.opencontainers.image.base.name"


def main() -> None:
    engine = connect()
    results = {name: _measure(engine, image) for name, image in NAMES.items()}
    line = json.dumps(results)
    (RESULTS / "images.json").write_text(line + "\n")
    print(line)


def _measure(engine: docker.DockerClient, image: str) -> dict[str, Any]:
    found = engine.images.get(image)
    base = engine.images.get(found.labels[_BASE])
    size, base_size = found.attrs["Size"], base.attrs["Size"]
    return {
        "bytes": size,
        "bytes_beyond_base": size - base_size,
        "base": found.labels[_BASE],
    }


if __name__ == "__main__":
    main()
