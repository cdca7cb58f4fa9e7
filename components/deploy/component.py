"""The deployment step as a Kubeflow component."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.SERVE, install_kfp_package=False)
def deploy(
    model: dsl.Input[dsl.Model],
    endpoint: dsl.Output[dsl.Artifact],
    serve_image: str,
    target: str = "local",
    destination: str = "runs/endpoint",
    precompute_top_n: int = 0,
    endpoint_name: str = "recommender",
    namespace: str = "default",
    port: int = 8080,
    min_replicas: int = 1,
    max_replicas: int = 3,
    cpu_request: str = "500m",
    cpu_limit: str = "2",
    memory_request: str = "512Mi",
    memory_limit: str = "1Gi",
    service_account: str = "default",
    s3_secret: str = "",
    kserve_mode: str = "knative",
    canary_percent: int = 100,
    probe_address: str = "",
    ready_seconds: float = 300.0,
    smoke_requests: int = 100,
    max_error_rate: float = 0.0,
    max_latency_ms: float = 500.0,
) -> None:
    """Store a model that passed as a version, prove that it serves, and let it serve.

    Args:
        model: The model that passed the gate.
        endpoint: Which version serves, and where.
        target: What serves the model. local: whatever reads the store, such as the server
            that watches its current bundle; docker: a container; kubernetes: a Deployment;
            kserve: an InferenceService.
        destination: The bundle store: a folder, or s3://bucket/prefix.
        precompute_top_n: Compute this many recommendations for every customer ahead; 0 for
            none.
        endpoint_name: Name of the container, Deployment or InferenceService.
        namespace: Kubernetes namespace that serves.
        serve_image: Image of the server, by tag or digest.
        port: Port of this machine that docker publishes.
        min_replicas: Fewest servers; 0 only for kserve in Knative mode.
        max_replicas: Most servers under load.
        cpu_request: Processors that every server is sure of.
        cpu_limit: Most processors of a server.
        memory_request: Memory that every server is sure of.
        memory_limit: A server that takes more is ended.
        service_account: Kubernetes account that the servers run as.
        s3_secret: Kubernetes secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, by
            which the servers read the store; empty: by their service account.
        kserve_mode: How KServe runs the InferenceService.
        canary_percent: Share of the requests that the new version takes, below 100 with
            kserve in Knative mode only; `alsolike deployments promote` gives it the rest.
        probe_address: URL at which the new version is asked before it takes requests;
            empty: its own address on the target.
        ready_seconds: Longest wait until the new version is ready.
        smoke_requests: Requests, after the golden ones, to measure it by.
        max_error_rate: Largest share of these requests that may fail.
        max_latency_ms: Longest time that 95 in 100 of them may take.
    """
    from pathlib import Path

    from components.deploy.deploy import deploy
    from components.deploy.settings import DeploySettings
    from components.step import step

    with step("deploy"):
        settings = DeploySettings.model_validate(
            {
                "target": target,
                "destination": destination,
                "precompute_top_n": precompute_top_n,
                "endpoint_name": endpoint_name,
                "namespace": namespace,
                "serve_image": serve_image,
                "port": port,
                "min_replicas": min_replicas,
                "max_replicas": max_replicas,
                "cpu_request": cpu_request,
                "cpu_limit": cpu_limit,
                "memory_request": memory_request,
                "memory_limit": memory_limit,
                "service_account": service_account,
                "s3_secret": s3_secret,
                "kserve_mode": kserve_mode,
                "canary_percent": canary_percent,
                "probe_address": probe_address,
                "ready_seconds": ready_seconds,
                "smoke_requests": smoke_requests,
                "max_error_rate": max_error_rate,
                "max_latency_ms": max_latency_ms,
            }
        )
        facts = deploy(settings, Path(model.path), Path(endpoint.path))
    endpoint.metadata.update(facts)
