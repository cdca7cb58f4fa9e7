"""What is not MXNet's work is done without it, so that another framework may join."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT_MXNET = (
    *("settings", "checkpoints", "export", "resources", "component"),
    *("rating.trials", "rating.warm_start", "ranking.settings"),
)


def test_these_modules_do_without_mxnet() -> None:
    program = f"""
import importlib, sys
for module in {WITHOUT_MXNET}:
    importlib.import_module("components.train." + module)
    assert "mxnet" not in sys.modules, module"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("library", "words"), [("libgomp.so.1", "libgomp1"), ("libcuda.so.1", "NVIDIA's driver")]
)
def test_a_library_that_mxnet_misses_is_named_with_what_brings_it(
    tmp_path: Path, library: str, words: str
) -> None:
    said = f"{library}: cannot open shared object file: No such file or directory"
    (tmp_path / "mxnet.py").write_text(f"raise OSError({said!r})")
    ended = subprocess.run(
        [sys.executable, "-m", "components.train", "--splits=splits", "--output=model"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: train: MXNet does not start ({library}: cannot open")
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1
