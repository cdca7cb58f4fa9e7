"""The ingest step from a shell: `python -m components.ingest --help`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliApp

from components.command import Command
from components.ingest.ingest import ingest
from components.ingest.settings import IngestSettings
from components.step import step


class IngestCommand(IngestSettings, Command, cli_prog_name="python -m components.ingest"):  # type: ignore[misc]
    """Read star ratings from S3 into a ratings artifact."""

    output: Path = Field(description="Where to write the ratings artifact.")


if __name__ == "__main__":
    with step("ingest"):
        command = CliApp.run(IngestCommand)
        ingest(command, command.output)
