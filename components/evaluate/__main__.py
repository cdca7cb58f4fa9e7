"""The evaluation step from a shell: `python -m components.evaluate --help`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliApp

from components.command import Command
from components.evaluate.evaluate import evaluate
from components.evaluate.settings import EvaluateSettings
from components.step import step


class EvaluateCommand(EvaluateSettings, Command, cli_prog_name="python -m components.evaluate"):  # type: ignore[misc]
    """Measure a model against baselines and the deployed model, and decide on its deployment."""

    ratings: Path = Field(description="Folder of the ratings artifact.")
    splits: Path = Field(description="Folder of the splits artifact.")
    model: Path = Field(description="Folder of the model artifact.")
    report: Path = Field(description="Where to write the HTML report.")
    verdict: Path = Field(description="Where to write the verdict artifact.")
    run: str = Field(default="", description="Name of the run, for the report.")


if __name__ == "__main__":
    with step("evaluate"):
        command = CliApp.run(EvaluateCommand)
        verdict, _ = evaluate(
            command,
            ratings=command.ratings,
            splits=command.splits,
            model=command.model,
            report=command.report,
            verdict=command.verdict,
            run=command.run,
        )
        print(verdict.summary)  # noqa: T201 - the answer of the command
