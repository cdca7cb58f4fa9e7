"""The training step from a shell: `python -m components.train --help`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliApp

from components.command import Command
from components.step import step
from components.train.settings import TrainSettings


class TrainCommand(TrainSettings, Command, cli_prog_name="python -m components.train"):  # type: ignore[misc]
    """Learn from a splits artifact and write a model artifact."""

    splits: Path = Field(description="Folder of the splits artifact.")
    output: Path = Field(description="Where to write the model artifact.")


if __name__ == "__main__":
    with step("train"):
        command = CliApp.run(TrainCommand)
        from components.train.train import train  # may fail to import MXNet, inside `step`

        train(command, command.splits, command.output)
