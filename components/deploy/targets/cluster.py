"""Read and change Kubernetes objects, as plain dicts, by server-side apply."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import (
    DynamicApiError,
    ForbiddenError,
    NotFoundError,
    ResourceNotFoundError,
)
from urllib3.exceptions import HTTPError

from components.deploy.targets.manifests import Object
from components.errors import UserError

POLL_SECONDS = 1.0
"""Between two looks at an object that is awaited."""

_MANAGER = "alsolike"
_WEBHOOK = "admission webhook"
_BIND_ROLE = "bind the role alsolike-deploy to the account of the run"
_HOPELESS = {
    "CrashLoopBackOff": "see its log",
    "CreateContainerConfigError": "check s3_secret, and that the image's user is a number",
    "ErrImageNeverPull": "check serve_image",
    "ImagePullBackOff": "check serve_image and the account's pull secret",
    "InvalidImageName": "check serve_image",
}


class Cluster:
    """The objects of one namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        with (
            _explained("reach", "the cluster", namespace),
            # By default the client trusts a file in /tmp that anyone may have written.
            tempfile.TemporaryDirectory(prefix="alsolike-cluster-") as folder,
        ):
            self._client = DynamicClient(_connect(), cache_file=f"{folder}/kinds.json")

    def get(self, api_version: str, kind: str, name: str) -> Object | None:
        """Read an object, or None if there is no such object.

        Args:
            api_version: such as `apps/v1`.
            kind: such as `Deployment`.
            name: of the object.
        """
        with _explained("get", f"{kind} {name}", self.namespace):
            try:
                found = self._resource(api_version, kind).get(name=name, namespace=self.namespace)
            except NotFoundError:
                return None
            fields: Object = found.to_dict()
            return fields

    def apply(self, manifest: Object) -> None:
        """Create or change an object to match a manifest; fields that it does not name stay."""
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        with _explained("apply", f"{kind} {name}", self.namespace):
            self._resource(manifest["apiVersion"], kind).server_side_apply(
                body=manifest,
                name=name,
                namespace=self.namespace,
                field_manager=_MANAGER,
                force_conflicts=True,
            )

    def delete(self, api_version: str, kind: str, name: str) -> None:
        """Request the deletion of an object, which may still exist for a while.

        Args:
            api_version: such as `apps/v1`.
            kind: such as `Deployment`.
            name: of the object.
        """
        with _explained("delete", f"{kind} {name}", self.namespace):
            self._resource(api_version, kind).delete(name=name, namespace=self.namespace)

    def merge(self, api_version: str, kind: str, name: str, fields: Object) -> None:
        """Set some fields of an object, and keep the others.

        Args:
            api_version: such as `apps/v1`.
            kind: such as `Deployment`.
            name: of the object.
            fields: the fields to set.
        """
        with _explained("change", f"{kind} {name}", self.namespace):
            self._resource(api_version, kind).patch(
                body=fields,
                name=name,
                namespace=self.namespace,
                content_type="application/merge-patch+json",
                field_manager=_MANAGER,
            )

    def complain_about_pods(self, labels: dict[str, str]) -> None:
        """Check that no pod waits for something that will not happen.

        Args:
            labels: of the pods.

        Raises:
            UserError: with the reason of the pod.
        """
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        with _explained("list", "pods", self.namespace):
            pods: list[Object] = (
                self._resource("v1", "Pod")
                .get(namespace=self.namespace, label_selector=selector)
                .to_dict()["items"]
            )
        for pod in pods:
            for waiting in _waiting(pod):
                if remedy := _HOPELESS.get(waiting.get("reason", "")):
                    raise UserError(
                        f"pod {pod['metadata']['name']}: {waiting['reason']}: "
                        f"{waiting.get('message', 'no more is said')}: {remedy}"
                    )

    def _resource(self, api_version: str, kind: str) -> Any:
        return self._client.resources.get(api_version=api_version, kind=kind)


def condition(fields: Object, kind: str) -> Object:
    """The condition of a kind in an object's status; empty if it has none."""
    conditions = fields.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def is_observed(fields: Object) -> bool:
    """Whether the status of an object is about its current specification, not an earlier one."""
    observed: int = fields.get("status", {}).get("observedGeneration", 0)
    generation: int = fields["metadata"]["generation"]
    return observed >= generation


def _waiting(pod: Object) -> Iterator[Object]:
    status = pod.get("status", {})
    for group in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(group) or []:
            yield container.get("state", {}).get("waiting") or {}


def _connect() -> client.ApiClient:
    """Connect by the account of the pod, or outside of a pod by the user's kubeconfig."""
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        configuration = client.Configuration()
        config.load_incluster_config(client_configuration=configuration)
        return client.ApiClient(configuration)
    return config.new_client_from_config(os.environ.get("KUBECONFIG"))


@contextmanager
def _explained(verb: str, thing: str, namespace: str) -> Iterator[None]:
    """Turn an error of the cluster into a `UserError` of one line."""
    try:
        yield
    except ForbiddenError as error:
        said = _message(error)
        # An admission webhook that objects to the object itself answers with the same status.
        remedy = "" if _WEBHOOK in said else f"; {_BIND_ROLE}"
        raise UserError(
            f"not allowed to {verb} {thing} in namespace {namespace}: {said}{remedy}"
        ) from None
    except ResourceNotFoundError as error:
        raise UserError(f"the cluster lacks a kind of object: {error}: install it") from None
    except DynamicApiError as error:
        raise UserError(f"cannot {verb} {thing} in {namespace}: {_message(error)}") from None
    except (ConfigException, HTTPError, OSError) as error:
        raise UserError(
            f"cannot reach the cluster: {' '.join(str(error).split())}: check the kubeconfig"
        ) from None


def _message(error: DynamicApiError) -> str:
    try:
        return str(error.summary())
    except ValueError:
        return f"status {error.status}"
