"""The server from a shell: `python -m components.serve --bundle FOLDER`."""
# ruff: noqa: E402

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# A container's first process ignores SIGTERM unless it has a handler, and the imports take time.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
# Each worker uses one core. NumPy's BLAS reads this when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pydantic import Field
from pydantic_settings import CliApp

from components.command import Command
from components.serve.processes.supervisor import serve
from components.serve.settings import ServeSettings
from components.step import step


class ServeCommand(ServeSettings, Command, cli_prog_name="python -m components.serve"):  # type: ignore[misc]
    """Answer recommendation requests from a bundle folder over HTTP."""

    bundle: Path = Field(description="folder of the bundle, or a link to it that may be switched")


def hosting_conventions(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings that a hosting platform passes in the environment; the command line goes first.

    Vertex AI sets `AIP_HTTP_PORT`, `AIP_HEALTH_ROUTE` and `AIP_PREDICT_ROUTE`. SageMaker sets
    `SAGEMAKER_BIND_TO_PORT` if it wants another port than 8080.
    """
    names = {
        "AIP_HTTP_PORT": "port",
        "SAGEMAKER_BIND_TO_PORT": "port",
        "AIP_HEALTH_ROUTE": "health_route",
        "AIP_PREDICT_ROUTE": "predict_route",
    }
    found = {names[name]: environment[name] for name in names if name in environment}
    return {"host": "0.0.0.0", **found} if found else {}


if __name__ == "__main__":
    with step("serve"):
        command = CliApp.run(ServeCommand, **hosting_conventions(os.environ))
        serve(command, command.bundle)
