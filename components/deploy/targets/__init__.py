"""What serves a model: one small module a target."""

from components.deploy.settings import DeploySettings
from components.deploy.targets.target import Target


def open_target(settings: DeploySettings) -> Target:
    """The target that the settings name."""
    # The libraries of the other targets need not be there.
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
