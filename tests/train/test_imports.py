"""What is not MXNet's work is done without it, so that another framework may join."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "settings",
        "checkpoints",
        "export",
        "resources",
        "rating.trials",
        "rating.warm_start",
        "ranking.settings",
        "component",
    ],
)
def test_a_module_does_without_mxnet(module: str) -> None:
    program = f"import sys, components.train.{module}; sys.exit('mxnet' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
