"""The settings of the deployment step."""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from components import images

_NAME = r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"
_CPU = r"^[0-9]+m?$"
_MEMORY = r"^[0-9]+(Ki|Mi|Gi)$"
_URL = r"^(https?://\S+)?$"


class DeploySettings(BaseModel, frozen=True, extra="forbid"):
    """Where to deploy a model, and the tests that it must pass before."""

    target: Literal["local", "docker", "kubernetes", "kserve"] = Field(
        default="local",
        description="What serves the model. local: servers that watch the current bundle of the "
        "store; docker: a container; kubernetes: a Deployment; kserve: an InferenceService.",
    )
    destination: str = Field(
        default="runs/endpoint",
        min_length=1,
        description="The bundle store: a folder, or s3://bucket/prefix.",
    )
    precompute_top_n: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Number of recommendations to precompute for every customer; 0 for none.",
    )
    endpoint_name: str = Field(
        default="recommender",
        pattern=_NAME,
        description="Name of the container, Deployment or InferenceService.",
    )
    namespace: str = Field(
        default="default", pattern=_NAME, description="Kubernetes namespace of the servers."
    )
    serve_image: str = Field(
        default=images.SERVE, min_length=1, description="Image of the server, by tag or digest."
    )
    port: int = Field(
        default=8080, ge=1, le=65535, description="Port of this machine for target docker."
    )
    min_replicas: int = Field(
        default=1, ge=0, description="Fewest servers; 0 only for kserve in Knative mode."
    )
    max_replicas: int = Field(default=3, ge=1, description="Most servers under load.")
    cpu_request: str = Field(
        default="500m", pattern=_CPU, description="Processors that are reserved for a server."
    )
    cpu_limit: str = Field(default="2", pattern=_CPU, description="Most processors of a server.")
    memory_request: str = Field(
        default="512Mi", pattern=_MEMORY, description="Memory that is reserved for a server."
    )
    memory_limit: str = Field(
        default="1Gi", pattern=_MEMORY, description="Memory above which a server is killed."
    )
    service_account: str = Field(
        default="default", pattern=_NAME, description="Kubernetes service account of the servers."
    )
    s3_secret: str = Field(
        default="",
        description="Kubernetes secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the "
        "servers to read the store; empty: they use their service account.",
    )
    istio_sidecar: bool = Field(
        default=False,
        description="Whether Istio may add its proxy to the servers. Then an AuthorizationPolicy "
        "must admit the pods of runs, which have no proxy.",
    )
    kserve_mode: Literal["knative", "standard"] = Field(
        default="knative", description="How KServe runs the InferenceService."
    )
    canary_percent: int = Field(
        default=100,
        ge=1,
        le=100,
        description="Percentage of the requests for the new version; below 100 only with kserve in "
        "Knative mode. `alsolike deployments promote` gives it the rest.",
    )
    model_registry: str = Field(
        default="",
        pattern=_URL,
        description="URL of a Kubeflow Model Registry in which the version is entered, such as "
        "http://model-registry-service.kubeflow.svc:8080; empty: in none.",
    )
    probe_address: str = Field(
        default="",
        pattern=_URL,
        description="URL of the new version for the smoke test; empty: its address on the target.",
    )
    ready_seconds: float = Field(
        default=300, gt=0, description="Longest wait until the new version is ready."
    )
    smoke_requests: int = Field(
        default=100, ge=1, description="Requests of the smoke test, after the golden ones."
    )
    max_error_rate: float = Field(
        default=0.0, ge=0, le=1, description="Largest share of these requests that may fail."
    )
    max_latency_ms: float = Field(
        default=500, gt=0, description="Largest 95th percentile of their latency."
    )

    @model_validator(mode="after")
    def _fits_the_target(self) -> Self:
        knative = self.target == "kserve" and self.kserve_mode == "knative"
        if self.target in ("kubernetes", "kserve") and not self.destination.startswith("s3://"):
            raise ValueError(f"target {self.target} needs a destination that begins with s3://")
        if self.canary_percent < 100 and not knative:
            raise ValueError("canary_percent below 100 needs target kserve and kserve_mode knative")
        if self.min_replicas == 0 and not knative:
            raise ValueError("min_replicas 0 needs target kserve and kserve_mode knative")
        if self.max_replicas < self.min_replicas:
            raise ValueError("max_replicas is below min_replicas")
        return self
