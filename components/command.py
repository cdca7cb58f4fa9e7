"""The base of the steps' commands, whose settings come from the command line only."""

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


class Command(BaseSettings):
    """The base of a step's command, together with the step's settings.

    Environment variables are ignored, even if they have the name of a setting.
    """

    model_config = SettingsConfigDict(
        cli_kebab_case=True, cli_implicit_flags=True, cli_enforce_required=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read neither the environment nor files with secrets.

        Args:
            settings_cls: the class of the command.
            init_settings: the command line.
            env_settings: the environment.
            dotenv_settings: a file of variables.
            file_secret_settings: a folder of secrets.
        """
        return (init_settings,)
