"""The prepare step from a shell: `python -m components.prepare --help`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliApp

from components.command import Command
from components.prepare.prepare import prepare
from components.prepare.settings import PrepareSettings
from components.step import step


class PrepareCommand(PrepareSettings, Command, cli_prog_name="python -m components.prepare"):  # type: ignore[misc]
    """Filter and split ratings into a splits artifact."""

    ratings: Path = Field(description="Folder of the ratings artifact.")
    output: Path = Field(description="Where to write the splits artifact.")


if __name__ == "__main__":
    with step("prepare"):
        command = CliApp.run(PrepareCommand)
        prepare(command, command.ratings, command.output)
