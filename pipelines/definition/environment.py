"""Environments: everything that differs between clusters, validated."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    HttpUrl,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from components import images
from components.errors import UserError
from components.step import describe_invalid

LOCK = Path(__file__).parents[2] / "images.lock"
"""The digest of each image that was pushed, by its local name, as JSON."""

_FOLDER = Path(__file__).parents[1] / "environments"


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("unknown time zone; write one such as Europe/Berlin") from None
    return name


Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


def _http_url(url: str) -> str:
    return str(TypeAdapter(HttpUrl).validate_python(url)).rstrip("/")


Cpu = Annotated[str, StringConstraints(pattern=r"^([0-9]+(\.[0-9]+)?|[0-9]+m)$")]
Memory = Annotated[str, StringConstraints(pattern=r"^[0-9]+(Ki|Mi|Gi|Ti|K|M|G|T)?$")]
KubernetesName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)
]
BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Registry = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*$")
]


Url = Annotated[str, AfterValidator(_http_url)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]
Parameter = str | int | float | bool


class Access(StrEnum):
    """How a client signs in to Kubeflow Pipelines."""

    ANONYMOUS = "anonymous"
    SERVICE_ACCOUNT = "service-account"
    TOKEN = "token"
    COOKIE = "cookie"
    PORT_FORWARD = "port-forward"


class Toleration(BaseModel, frozen=True, extra="forbid"):
    """A node's taint that a pod may ignore."""

    key: str = Field(description="key of the taint")
    operator: Literal["Equal", "Exists"] = Field(
        default="Exists", description="whether the value must be equal"
    )
    value: str | None = Field(
        default=None, description="value of the taint, with the operator Equal"
    )
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        default="NoSchedule", description="effect of the taint"
    )


class Gpu(BaseModel, frozen=True, extra="forbid"):
    """The accelerator of the training step, and the nodes that have it."""

    resource: str = Field(
        default="nvidia.com/gpu", description="resource that the device plugin offers"
    )
    count: int = Field(default=1, ge=1, description="GPUs for the training step")
    node_selector: dict[str, str] = Field(default={}, description="labels of the GPU nodes")
    tolerations: tuple[Toleration, ...] = Field(
        default=(Toleration(key="nvidia.com/gpu"),), description="taints of the GPU nodes"
    )


class Resources(BaseModel, frozen=True, extra="forbid"):
    """The resources of a step's pod, its time limit and its retries.

    When a node runs out of memory, the first pods to be killed are those that use more than they
    have requested, so the request is the limit as well. Processor time has no limit.
    """

    cpu: Cpu = Field(description="processors requested")
    memory: Memory = Field(description="memory requested, and the limit")
    shared_memory: Memory | None = Field(
        default=None, description="size of a memory-backed /dev/shm, counted within the memory"
    )
    timeout_minutes: int = Field(ge=1, description="a pod that runs longer is ended")
    retries: int = Field(
        default=1, ge=0, le=10, description="new pods for one that failed, whatever the reason"
    )
    backoff_seconds: int = Field(default=30, ge=1, description="wait before the first retry")
    # Argo refuses a fraction.
    backoff_factor: int = Field(default=2, ge=1, description="growth of the wait with each retry")

    @property
    def longest_seconds(self) -> int:
        """The time that all pods of a step may take, with the waits between them."""
        longest_wait: int = self.backoff_seconds * self.backoff_factor**self.retries
        return (self.retries + 1) * (self.timeout_minutes * 60 + longest_wait)


class Steps(BaseModel, frozen=True, extra="forbid"):
    """The resources of each step; a trial of a search has those of `train`."""

    resolve: Resources
    ingest: Resources
    prepare: Resources
    train: Resources
    evaluate: Resources
    deploy: Resources
    notify: Resources
    search: Resources = Resources(cpu="250m", memory="1Gi", timeout_minutes=10)


class SecretKeys(BaseModel, frozen=True, extra="forbid"):
    """A Kubernetes secret whose keys become environment variables of a step's pod."""

    secret: KubernetesName = Field(description="name of the secret, in the namespace of the runs")
    variables: dict[str, str] = Field(
        min_length=1, description="key in the secret -> environment variable"
    )
    optional: bool = Field(default=True, description="whether the pod starts without the secret")


class Kubeflow(BaseModel, frozen=True, extra="forbid"):
    """The installation of Kubeflow Pipelines, and the profile in it."""

    endpoint: Url | None = Field(
        default=None,
        description="URL of the API, such as a port-forward's; none: a port is forwarded "
        "with access port-forward, otherwise the in-cluster service",
    )
    ui: Url | None = Field(
        default=None, description="URL of the UI, where it is not the endpoint's"
    )
    access: Access = Field(default=Access.ANONYMOUS, description="how the client authenticates")
    ca_certificate: Path | None = Field(
        default=None, description="PEM file of the authority that signed the endpoint's certificate"
    )
    system_namespace: KubernetesName = Field(
        default="kubeflow", description="namespace of Kubeflow Pipelines itself"
    )
    profile: KubernetesName | None = Field(
        default=None,
        description="the user's namespace; none: Kubeflow Pipelines serves a single user",
    )
    experiment: str = Field(min_length=1, description="experiment that the runs belong to")
    service_account: KubernetesName | None = Field(
        default=None, description="account the pods run as; none: Kubeflow's default"
    )
    scheduler_time_zone: TimeZone = Field(
        default="UTC", description="CRON_SCHEDULE_TIMEZONE of ml-pipeline-scheduledworkflow"
    )

    @property
    def namespace(self) -> str:
        """The namespace of the runs' pods."""
        return self.profile or self.system_namespace


class Environment(BaseModel, frozen=True, extra="forbid"):
    """One cluster, with everything that the pipeline needs to know of it."""

    pipeline: str = Field(default="alsolike-training", min_length=1, description="name in the UI")
    tuning_pipeline: str = Field(
        default="alsolike-tuning", min_length=1, description="the tuning pipeline's name in the UI"
    )
    kubeflow: Kubeflow
    registry: Registry = Field(description="registry and path that the images are pulled from")
    digests: dict[str, Digest] = Field(
        default={}, description="digest of each image by its local name; images.lock if not given"
    )
    image_pull_secrets: tuple[KubernetesName, ...] = Field(
        default=(), description="pull secrets of the registry"
    )
    bucket: BucketName = Field(description="bucket of the artifacts, which doctor checks")
    pipeline_root: str | None = Field(
        default=None, description="where the artifacts lie; none: Kubeflow's default"
    )
    s3: SecretKeys | None = Field(
        default=None, description="keys for S3; none: the pod's own identity"
    )
    s3_endpoint: Url | None = Field(default=None, description="for stores other than AWS S3")
    region: str = Field(default="us-east-1", min_length=1, description="region of the bucket")
    webhook: SecretKeys | None = Field(
        default=None, description="where the outcome of a run is posted"
    )
    gpu: Gpu | None = Field(
        default=None, description="accelerator for training; none: train on processors"
    )
    steps: Steps
    parameters: dict[str, Parameter] = Field(
        default={}, description="defaults of the pipeline's parameters here"
    )

    def image(self, name: str) -> str:
        """The reference to pull an image by, with its digest if images are locked.

        Raises:
            UserError: if images are locked, and this one is not among them.
        """
        if not self.digests:
            return f"{self.registry}/{name}"
        if name not in self.digests:
            raise UserError(f"images are locked, and {name} is not: push it, which locks it")
        return f"{self.registry}/{name.partition(':')[0]}@{self.digests[name]}"

    def defaults(self) -> dict[str, Parameter]:
        """The defaults of the pipeline's parameters, including the image of the server."""
        return {"serve_image": self.image(images.SERVE), **self.parameters}

    def store_variables(self) -> dict[str, str]:
        """The environment variables by which clients of S3 find the store."""
        endpoint = {"AWS_ENDPOINT_URL": self.s3_endpoint} if self.s3_endpoint else {}
        return {"AWS_DEFAULT_REGION": self.region, **endpoint}

    @property
    def ui(self) -> str:
        """URL of the UI; empty if it is not known."""
        return self.kubeflow.ui or self.kubeflow.endpoint or ""


def load_environment(
    name: str, *, endpoint: str | None = None, access: Access | None = None
) -> Environment:
    """Read an environment.

    Args:
        name: the name of a shipped environment, or the path of a YAML file.
        endpoint: URL of the API, in place of the one in the file.
        access: how the client signs in, in place of the one in the file.

    Raises:
        UserError: if there is no such file, or it does not validate; each wrong setting is named.
    """
    file = Path(name) if name.endswith((".yaml", ".yml")) else _FOLDER / f"{name}.yaml"
    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in _FOLDER.glob("*.yaml")))
        raise UserError(
            f"no environment {name!r}: give one of {known}, or the path of a .yaml file"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    given = {"endpoint": endpoint, "access": access}
    if isinstance(content, dict) and isinstance(content.get("kubeflow"), dict):
        content["kubeflow"] |= {key: value for key, value in given.items() if value}
        content.setdefault("digests", _locked())
    try:
        return Environment.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{file}: {describe_invalid(error)}") from None


def _locked() -> Any:
    try:
        return json.loads(LOCK.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{LOCK} is not JSON ({error}): push the images again") from None
