"""Check everything that a run on Kubeflow needs, and say what to do if something is missing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from typing import Any, Literal, TypeVar

import boto3
import botocore.config
import botocore.exceptions
import kubernetes
import requests
import urllib3
from google.protobuf import json_format
from kubernetes.client import ApiException
from kubernetes.utils import parse_quantity

from components.deploy.settings import DeploySettings
from components.errors import UserError
from pipelines.definition.environment import Environment, Gpu, SecretKeys
from pipelines.definition.package import Package
from pipelines.kubeflow.client import Session, connect
from pipelines.kubeflow.release import OLDEST, read_release, require_accounts_of_schedules

_SECONDS = 10
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)

T = TypeVar("T")
Check = tuple[str, Callable[[], str]]


class UnseenError(UserError):
    """A check cannot see from here whether something exists."""


@dataclass(frozen=True)
class CheckResult:
    """The result of a check."""

    check: str
    state: Literal["ok", "failed", "unseen"]
    text: str


def examine(environment: Environment, package: Package) -> Iterator[CheckResult]:
    """Run all checks, whatever their results."""
    yield from _run(kubeflow_checks(environment))
    yield from _run(cluster_checks(environment))
    yield from _run(
        [
            ("bucket", partial(check_bucket, environment)),
            ("images", partial(check_images, package)),
        ]
    )


def kubeflow_checks(environment: Environment) -> Iterator[Check]:
    """The checks of the API: endpoint, release and access."""

    def through_a_connection(check: Callable[[Session], str]) -> str:
        with connect(environment.kubeflow) as session:
            return check(session)

    yield "endpoint", partial(through_a_connection, check_endpoint)
    yield "release", partial(through_a_connection, check_release)
    yield "access", partial(through_a_connection, check_access)


def cluster_checks(environment: Environment) -> Iterator[Check]:
    """The checks of the namespace and the nodes, by the kubeconfig or the account of the pod."""
    yield "namespace", partial(check_namespace, environment)
    if environment.kubeflow.service_account:
        yield "service account", partial(check_service_account, environment)
    for secret in (environment.s3, environment.webhook):
        if secret:
            yield f"secret {secret.secret}", partial(check_secret, environment, secret)
    for name in environment.image_pull_secrets:
        yield f"secret {name}", partial(check_pull_secret, environment, name)
    if environment.gpu:
        yield "GPU nodes", partial(check_gpu_nodes, environment.gpu)
    if _deploy_parameter(environment, "s3_secret"):
        yield "servers' keys", partial(check_servers_keys, environment)
    yield "KServe", check_kserve
    if environment.s3_endpoint and _deploy_parameter(environment, "target") == "kserve":
        yield "KServe's store", partial(check_kserve_store, environment)


def check_endpoint(session: Session) -> str:
    """The API answers, and is for several users or for one, as the environment says."""
    healthz = session.client.healthzs.healthz_service_get_healthz
    health = session.ask("look at the API's health", healthz)
    if health.multi_user and not session.settings.profile:
        raise UserError("Kubeflow serves several users: set kubeflow.profile to your namespace")
    if session.settings.profile and not health.multi_user:
        raise UserError("Kubeflow serves a single user: leave kubeflow.profile out")
    return session.endpoint


def check_release(session: Session) -> str:
    """The release of Kubeflow Pipelines is new enough."""
    release = read_release(session)
    if release is None:
        raise UnseenError(f"the API does not tell its release: it must be {OLDEST} or newer")
    if release < OLDEST:
        raise UserError(f"Kubeflow Pipelines {release} is too old: upgrade it to {OLDEST} or newer")
    if session.settings.service_account:
        require_accounts_of_schedules(release)
    return str(release)


def check_access(session: Session) -> str:
    """The credentials open the namespace."""
    listed = partial(
        session.client.list_experiments, page_size=1, namespace=session.settings.profile
    )
    session.ask("list the experiments", listed)
    return f"{session.settings.access} in namespace {session.settings.namespace}"


def check_namespace(environment: Environment) -> str:
    """The namespace of the runs exists."""
    name = environment.kubeflow.namespace
    remedy = f"there is no namespace {name}: create the profile, or mend kubeflow.profile"
    _cluster(
        remedy,
        lambda: kubernetes.client.CoreV1Api().read_namespace(name, _request_timeout=_SECONDS),
    )
    return name


def check_service_account(environment: Environment) -> str:
    """The account that the pods run as exists."""
    name, namespace = environment.kubeflow.service_account, environment.kubeflow.namespace
    remedy = (
        f"there is no service account {name} in {namespace}: "
        f"kubectl --namespace {namespace} apply --kustomize pipelines/manifests"
    )
    core = kubernetes.client.CoreV1Api
    _cluster(
        remedy,
        lambda: core().read_namespaced_service_account(name, namespace, _request_timeout=_SECONDS),
    )
    return str(name)


def check_secret(environment: Environment, secret: SecretKeys) -> str:
    """A secret exists and has its keys; an optional secret may be missing."""
    try:
        found = _read_secret(environment.kubeflow.namespace, secret.secret)
    except UnseenError:
        raise
    except UserError:
        if not secret.optional:
            raise
        return "missing, but optional: the pods' own identity is used"
    if missing := sorted(secret.variables.keys() - (found.data or {}).keys()):
        raise UserError(
            f"secret {secret.secret} lacks {', '.join(missing)}: "
            "see pipelines/manifests/secrets.yaml"
        )
    return f"has {', '.join(secret.variables)}"


def check_servers_keys(environment: Environment) -> str:
    """The secret by which the servers read the store exists; without it no server starts."""
    name = _deploy_parameter(environment, "s3_secret")
    try:
        _read_secret(_deploy_parameter(environment, "namespace"), name)
    except UnseenError:
        raise
    except UserError as error:
        raise UserError(
            f"{error}; or leave the parameter s3_secret out if the servers' own identity can read "
            "the store"
        ) from None
    return f"by secret {name}"


def check_pull_secret(environment: Environment, name: str) -> str:
    """A secret for the registry exists and has the right type."""
    found = _read_secret(environment.kubeflow.namespace, name)
    if found.type != "kubernetes.io/dockerconfigjson":
        raise UserError(
            f"secret {name} is of type {found.type}: make it with kubectl create secret "
            "docker-registry"
        )
    return "opens the registry"


def check_gpu_nodes(gpu: Gpu) -> str:
    """A node has enough GPUs, the selected labels, and only tolerated taints."""
    selector = ",".join(f"{label}={value}" for label, value in gpu.node_selector.items())
    core = kubernetes.client.CoreV1Api
    nodes = _cluster(
        "no nodes", lambda: core().list_node(label_selector=selector, _request_timeout=_SECONDS)
    ).items
    if not nodes:
        raise UserError(f"no node has the labels {selector}: correct gpu.node_selector")
    able = [
        n for n in nodes if parse_quantity(n.status.allocatable.get(gpu.resource, 0)) >= gpu.count
    ]
    if not able:
        raise UserError(
            f"no node with the labels {selector or '(any)'} offers {gpu.count} {gpu.resource}: "
            "install the device plugin, or ask for fewer"
        )
    open_nodes = [node for node in able if not _repelling(node, gpu)]
    if not open_nodes:
        taint = _repelling(able[0], gpu)[0]
        raise UserError(
            f"the GPU nodes repel the pod by the taint {taint.key}:{taint.effect}: "
            "add it to gpu.tolerations"
        )
    return f"{len(open_nodes)} with {gpu.resource}"


def check_kserve() -> str:
    """The cluster knows InferenceServices."""
    remedy = "KServe is not installed: install it, or deploy to another target"
    api = kubernetes.client.CustomObjectsApi
    found = _cluster(
        remedy,
        lambda: api().get_api_resources("serving.kserve.io", "v1beta1", _request_timeout=_SECONDS),
    )
    if "inferenceservices" not in {resource.name for resource in found.resources}:
        raise UserError(remedy)
    return "serving.kserve.io/v1beta1"


def check_kserve_store(environment: Environment) -> str:
    """KServe, which fetches the model itself, has the address of a store that is not AWS S3."""
    namespace = _deploy_parameter(environment, "namespace")
    name = _deploy_parameter(environment, "s3_secret")
    if not name:
        raise UserError(
            "KServe reads s3_endpoint from the annotations of a secret, and uses AWS without it: "
            "name the secret in the parameter s3_secret"
        )
    wanted = _kserve_annotations(environment)
    found = _read_secret(namespace, name).metadata.annotations or {}
    if not wanted.items() <= found.items():
        words = " ".join(f"{key}={value}" for key, value in wanted.items())
        raise UserError(
            f"secret {name} does not name {environment.s3_endpoint}, so that KServe would use "
            f"AWS: kubectl annotate --overwrite --namespace {namespace} secret {name} {words}"
        )
    return f"{environment.s3_endpoint}, by secret {name}"


def check_bucket(environment: Environment) -> str:
    """The bucket can be read with the keys that boto3 finds on this machine."""
    s3 = boto3.Session().client(
        "s3",
        region_name=environment.region,
        endpoint_url=environment.s3_endpoint,
        config=botocore.config.Config(connect_timeout=_SECONDS, retries={"max_attempts": 1}),
    )
    try:
        s3.list_objects_v2(Bucket=environment.bucket, MaxKeys=1)
    except botocore.exceptions.NoCredentialsError:
        raise UnseenError("no keys here: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from None
    except botocore.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        raise UserError(
            f"bucket {environment.bucket} cannot be opened ({code}): check its name, its region "
            f"({environment.region}) and that the keys may list and read it"
        ) from None
    except botocore.exceptions.BotoCoreError as error:
        endpoint = environment.s3_endpoint or "S3"
        raise UnseenError(
            f"{endpoint} does not answer from here ({error}): inside the cluster it may"
        ) from None
    return f"s3://{environment.bucket}"


def check_images(package: Package) -> str:
    """Every image is named by its digest, and the registry has it."""
    images = sorted(_images(package))
    for image in images:
        name, at, digest = image.partition("@")
        if not at:
            raise UserError(f"{image} has no digest: push the images, which locks them")
        _check_manifest(name, digest)
    return f"{len(images)} by digest"


def _run(checks: Iterable[Check]) -> Iterator[CheckResult]:
    for name, check in checks:
        try:
            yield CheckResult(name, "ok", check())
        except UnseenError as error:
            yield CheckResult(name, "unseen", str(error))
        except UserError as error:
            yield CheckResult(name, "failed", str(error))


def _cluster(remedy: str, read: Callable[[], T]) -> T:
    """Read from the cluster.

    Raises:
        UserError: with the remedy, if the object does not exist.
        UnseenError: if the cluster does not answer or refuses.
    """
    try:
        with redirect_stdout(StringIO()):  # the client prints messages of its own
            kubernetes.config.load_config()
        return read()
    except kubernetes.config.ConfigException:
        raise UnseenError("no kubeconfig here: log in to the cluster") from None
    except ApiException as error:
        if error.status == 404:
            raise UserError(remedy) from None
        raise UnseenError(
            f"the cluster answers {error.status} {error.reason}: ask its administrator"
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise UnseenError(f"the cluster does not answer ({type(error).__name__})") from None


def _deploy_parameter(environment: Environment, name: str) -> str:
    """The value of a parameter of the deploy step in this environment."""
    return str(environment.parameters.get(name, DeploySettings.model_fields[name].default))


def _read_secret(namespace: str, name: str) -> Any:
    remedy = f"there is no secret {name} in {namespace}: see pipelines/manifests/secrets.yaml"
    core = kubernetes.client.CoreV1Api
    return _cluster(
        remedy, lambda: core().read_namespaced_secret(name, namespace, _request_timeout=_SECONDS)
    )


def _kserve_annotations(environment: Environment) -> dict[str, str]:
    """The annotations of a secret that give KServe the environment's store."""
    scheme, _, place = str(environment.s3_endpoint).partition("://")
    told = {
        "s3-endpoint": place,
        "s3-usehttps": "1" if scheme == "https" else "0",
        "s3-region": environment.region,
    }
    return {f"serving.kserve.io/{name}": value for name, value in told.items()}


def _repelling(node: Any, gpu: Gpu) -> list[Any]:
    """The taints of the node that the pod does not tolerate."""
    return [
        taint
        for taint in node.spec.taints or []
        if taint.effect != "PreferNoSchedule"
        and not any(
            tolerated.key == taint.key
            and tolerated.effect == taint.effect
            and (tolerated.operator == "Exists" or tolerated.value == taint.value)
            for tolerated in gpu.tolerations
        )
    ]


def _images(package: Package) -> set[str]:
    executors = json_format.MessageToDict(package.pipeline.deployment_spec)["executors"]
    return {executor["container"]["image"] for executor in executors.values()}


def _check_manifest(name: str, digest: str) -> None:
    registry, _, path = name.partition("/")
    repository = path.rpartition(":")[0] or path
    scheme = "http" if registry.startswith(("localhost", "127.0.0.1")) else "https"
    url = f"{scheme}://{registry}/v2/{repository}/manifests/{digest}"
    try:
        answer = requests.head(url, headers={"Accept": _MANIFESTS}, timeout=_SECONDS)
    except requests.RequestException as error:
        raise UnseenError(f"{registry} does not answer ({type(error).__name__})") from None
    if answer.status_code in (401, 403):
        raise UnseenError(
            f"{registry} wants a login for {repository}: the cluster's pull secret decides"
        )
    if answer.status_code != 200:
        raise UserError(f"{registry} has no {repository}@{digest}: push the images")
