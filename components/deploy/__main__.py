"""The deployment step from a shell: `python -m components.deploy --help`."""

import sys
from pathlib import Path

from pydantic import Field
from pydantic_settings import CliApp

from components.command import Command
from components.deploy.deploy import deploy
from components.deploy.settings import DeploySettings
from components.processes import interrupt_on_termination
from components.step import step


class DeployCommand(DeploySettings, Command, cli_prog_name="python -m components.deploy"):  # type: ignore[misc]
    """Make a model the current one of a bundle store."""

    model: Path = Field(description="Folder of the model artifact.")
    output: Path = Field(description="Where to write the endpoint artifact.")


if __name__ == "__main__":
    interrupt_on_termination()  # so that no server and no temporary bundle is left behind
    try:
        with step("deploy"):
            command = CliApp.run(DeployCommand)
            deploy(command, command.model, command.output)
    except KeyboardInterrupt:
        sys.exit("error: deploy: interrupted")
