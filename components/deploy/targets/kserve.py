"""KServe: an InferenceService.

In Knative mode a new version is a new revision, which has an address of its own and gets no
requests until it is promoted. Standard mode has no revisions: the new version is tested in a second
InferenceService, the candidate, which is deleted when the first one serves that version.

The status of an InferenceService may describe an earlier specification, and its
`observedGeneration` does not count the changes of the InferenceService. So in Knative mode a new
version is ready when a newer revision than before is ready, and in Standard mode when all pods of
the Deployment have that version.
"""

from typing import Any

from components.deploy.settings import DeploySettings
from components.deploy.targets.cluster import POLL_SECONDS, Cluster, condition
from components.deploy.targets.kubernetes import wait_for_deployment
from components.deploy.targets.manifests import (
    DEPLOYMENT_MODE,
    PROGRESS_DEADLINE,
    SERVING,
    STOP,
    VERSION,
    Object,
    inference_service,
)
from components.deploy.targets.target import Release
from components.errors import UserError
from components.polling import poll

_KIND = "InferenceService"
_POD_LABEL = "serving.kserve.io/inferenceservice"
_KNATIVE_MODES = ("Knative", "Serverless")
_OWN = {
    *("serving.kserve.io/enable-tag-routing", "serving.kserve.io/storageSecretName"),
    *(DEPLOYMENT_MODE, PROGRESS_DEADLINE, STOP),
}


class KServeTarget:
    """The InferenceService with the name of the endpoint, and in Standard mode its candidate."""

    def __init__(self, settings: DeploySettings) -> None:
        self._settings = settings
        self._name = settings.endpoint_name
        self._knative = settings.kserve_mode == "knative"
        self._tried = self._name if self._knative else f"{self._name}-candidate"
        self._cluster = Cluster(settings.namespace)
        self._former = self._get(self._name)
        self._stale: str | None = None
        self._applied: list[str] = []

    def plan(self, release: Release) -> list[str]:
        share = f"{self._settings.canary_percent} % of the requests"
        return [
            f"InferenceService {self._name} in namespace {self._settings.namespace}: from "
            f"{_version(self._former)} to {release.version}, {share} after the smoke test"
        ]

    def apply(self, release: Release) -> None:
        self._check_mode()
        if not self._knative:
            self._delete(self._tried)  # left by a deployment that was killed
            self._apply(self._tried, release, None)
        elif not self._serves(release):
            self._stale = _newest(self._former)
            # Without a former version Knative has no other to send the requests to.
            self._apply(self._tried, release, 0 if self._former else None)

    def wait(self, release: Release) -> str:
        self._wait(self._tried, release.version, self._stale)
        host = f"{self._tried}-predictor.{self._settings.namespace}.svc.cluster.local"
        return f"http://latest-{host}" if self._knative else f"http://{host}"

    def promote(self, release: Release) -> None:
        share = self._settings.canary_percent
        self._apply(self._name, release, None if share == 100 else share)
        self._wait(self._name, release.version, self._stale)
        if not self._knative:
            self._delete(self._tried)

    def rollback(self, release: Release) -> None:  # noqa: ARG002
        if self._name in self._applied:
            if self._former:
                self._restore(self._former)
            else:
                self._delete(self._name)
        if not self._knative and self._tried in self._applied:
            self._delete(self._tried)

    def _check_mode(self) -> None:
        recorded = _recorded_mode(self._former)
        if recorded and (recorded in _KNATIVE_MODES) != self._knative:
            other = "standard" if self._knative else "knative"
            raise UserError(
                f"InferenceService {self._name} is in KServe's mode {recorded}, which cannot be "
                f"changed: set kserve_mode={other}, choose another endpoint_name or delete it"
            )

    def _get(self, name: str) -> Object | None:
        return self._cluster.get(SERVING, _KIND, name)

    def _manifest(self, name: str, release: Release, share: int | None) -> Object:
        manifest = inference_service(self._settings, name, release, share)
        return _in_recorded_mode(manifest, self._get(name))

    def _apply(self, name: str, release: Release, share: int | None) -> None:
        self._cluster.apply(self._manifest(name, release, share))
        self._applied.append(name)

    def _serves(self, release: Release) -> bool:
        """Whether this release serves already.

        KServe would take a share of 0 for the serving revision as a rollback to the one before it.
        """
        wanted = _as_it_was(self._manifest(self._name, release, None))
        return self._former is not None and _includes(_as_it_was(self._former), wanted)

    def _restore(self, former: Object) -> None:
        present = self._get(self._name)
        manifest = _in_recorded_mode(_as_it_was(former), present)
        if self._knative:
            # Knative sends requests to the newest ready revision. Until the old specification has
            # a new revision, that is the one that failed, unless its share is 0.
            failed = _newest(present)
            held_back = {**former["spec"]["predictor"], "canaryTrafficPercent": 0}
            self._cluster.apply(manifest | {"spec": {"predictor": held_back}})
            stale = failed if failed != _newest(former) else None
            self._wait(self._name, _version(former), stale)
        self._cluster.apply(manifest)

    def _delete(self, name: str) -> None:
        """Delete a service and wait until it is gone."""
        found = self._get(name)
        if found is None:
            return
        if mode := _recorded_mode(found):
            # KServe cannot delete a service whose mode has another name than the recorded one.
            annotations = {"annotations": {DEPLOYMENT_MODE: mode}}
            self._cluster.merge(SERVING, _KIND, name, {"metadata": annotations})
        self._cluster.delete(SERVING, _KIND, name)
        poll(
            lambda: None if self._get(name) else True,
            lambda: f"InferenceService {name} was not deleted",
            self._settings.ready_seconds,
            pause=POLL_SECONDS,
        )

    def _wait(self, name: str, version: str, stale: str | None) -> None:
        """Wait until a version is ready; in Knative mode in a revision other than the stale one."""
        seconds = self._settings.ready_seconds
        labels = {_POD_LABEL: name, VERSION: version}
        seen: Object = {}

        def look() -> Object | None:
            seen.update(self._get(name) or {})
            if condition(seen, "Ready").get("status") == "True" and (
                not self._knative or _is_newest_ready(seen, stale)
            ):
                return seen
            self._cluster.complain_about_pods(labels)
            return None

        if not self._knative:
            wait_for_deployment(self._cluster, f"{name}-predictor", labels, seconds)
        poll(
            look,
            lambda: f"InferenceService {name} was not ready ({_missing(seen)})",
            seconds,
            pause=POLL_SECONDS,
        )


def _as_it_was(service: Object) -> Object:
    """The manifest that restores a service."""
    metadata = service["metadata"]
    annotations = metadata.get("annotations", {})
    return {
        "apiVersion": SERVING,
        "kind": _KIND,
        "metadata": {
            "name": metadata["name"],
            "labels": metadata.get("labels", {}),
            "annotations": {name: annotations[name] for name in _OWN & annotations.keys()},
        },
        "spec": {"predictor": service["spec"]["predictor"]},
    }


def _in_recorded_mode(manifest: Object, present: Object | None) -> Object:
    """A manifest with the name of the mode that KServe has recorded for the service, if any.

    KServe 0.16 records `Serverless` as `Knative` and `RawDeployment` as `Standard`, and refuses
    updates with another name. For a new service every version accepts the older names.
    """
    mode = _recorded_mode(present)
    if not mode:
        return manifest
    metadata = manifest["metadata"]
    annotations = metadata["annotations"] | {DEPLOYMENT_MODE: mode}
    return manifest | {"metadata": metadata | {"annotations": annotations}}


def _recorded_mode(service: Object | None) -> str | None:
    mode: str | None = service.get("status", {}).get("deploymentMode") if service else None
    return mode


def _includes(actual: Any, wanted: Any) -> bool:
    """Whether an object has every wanted field; it may have others too."""
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(
            name in actual and _includes(actual[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return len(actual) == len(wanted) and all(map(_includes, actual, wanted))
    return bool(actual == wanted)


def _is_newest_ready(service: Object, stale: str | None) -> bool:
    ready = _predictor(service).get("latestReadyRevision")
    return ready is not None and ready == _newest(service) and ready != stale


def _predictor(service: Object | None) -> Object:
    status = service.get("status", {}) if service else {}
    predictor: Object = status.get("components", {}).get("predictor", {})
    return predictor


def _newest(service: Object | None) -> str | None:
    newest: str | None = _predictor(service).get("latestCreatedRevision")
    return newest


def _version(service: Object | None) -> str:
    labels = service["spec"]["predictor"].get("labels", {}) if service else {}
    version: str = labels.get(VERSION, "nothing")
    return version


def _missing(service: Object) -> str:
    ready = condition(service, "Ready")
    message: str = ready.get("message") or ready.get("reason") or "it has no status yet"
    return message
