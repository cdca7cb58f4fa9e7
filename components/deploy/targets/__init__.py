"""The targets of a deployment, one module for each."""

from components.deploy.settings import DeploySettings
from components.deploy.targets.target import Target


def open_target(settings: DeploySettings) -> Target:
    """The target in the settings."""
    # Imports only the library of this target.
    match settings.target:
        case "local":
            from components.deploy.targets.local import LocalTarget

            return LocalTarget(settings)
        case "docker":
            from components.deploy.targets.docker import DockerTarget

            return DockerTarget(settings)
        case "kubernetes":
            from components.deploy.targets.kubernetes import KubernetesTarget

            return KubernetesTarget(settings)
        case "kserve":
            from components.deploy.targets.kserve import KServeTarget

            return KServeTarget(settings)
