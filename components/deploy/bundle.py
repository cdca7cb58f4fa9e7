"""The bundle: the files of a model, golden requests and, if configured, precomputed lists."""

import json
import shutil
from pathlib import Path

from components.artifacts.folder import MANIFEST, MEASUREMENTS, write_artifact
from components.artifacts.model import KIND, SCHEMA_VERSION, open_model
from components.artifacts.precomputed import precompute, write_precomputed
from components.deploy.golden import GOLDEN, golden_requests


def write_bundle(bundle: Path, model: Path, precompute_top_n: int = 0) -> None:
    """Write the bundle of a model.

    Args:
        bundle: the folder to write.
        model: the folder of the model artifact.
        precompute_top_n: the length of the list of each customer; 0 for no lists.

    Raises:
        UserError: if the model is damaged.
    """
    opened, manifest = open_model(model)
    others = shutil.ignore_patterns(MANIFEST, MEASUREMENTS)
    with write_artifact(bundle, KIND, SCHEMA_VERSION, {KIND: manifest}) as writer:
        shutil.copytree(model, writer.path, dirs_exist_ok=True, ignore=others)
        (writer.path / GOLDEN).write_text(json.dumps(golden_requests(opened), indent=1) + "\n")
        if precompute_top_n and opened.ranking is not None:
            write_precomputed(writer.path, precompute(opened, precompute_top_n))
