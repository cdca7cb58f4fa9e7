"""The server from a shell: `python -m components.serve --bundle FOLDER`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# A worker has one core to itself. NumPy's BLAS reads this when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pydantic import Field
from pydantic_settings import BaseSettings, CliApp, PydanticBaseSettingsSource, SettingsConfigDict

from components.serve.settings import ServeSettings
from components.serve.supervisor import serve
from components.step import step


class ServeCommand(ServeSettings, BaseSettings, frozen=True, extra="forbid"):  # type: ignore[misc]
    """Answer recommendation requests from a bundle folder over HTTP."""

    model_config = SettingsConfigDict(cli_kebab_case=True, cli_implicit_flags=True)

    bundle: Path = Field(description="folder of the bundle, or a link to it that may be switched")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let no variable that happens to be named `PORT` change the server."""
        return (init_settings,)


def hosting_conventions(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the platform that started this container asks for; the command line goes first.

    Vertex AI sets `AIP_HTTP_PORT`, `AIP_HEALTH_ROUTE` and `AIP_PREDICT_ROUTE`. SageMaker sets
    `SAGEMAKER_BIND_TO_PORT` where it wants another port than 8080.
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
