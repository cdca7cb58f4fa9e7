"""KServe: an InferenceService.

In Knative mode a new version is a new revision, which gets no requests until it is promoted and
has an address of its own. In Standard mode there is no such thing: the new version is proved in
a second InferenceService, which is stopped before the first takes the version over.

KServe's status keeps saying Ready of an earlier specification for a while, so nothing is believed
until the controller has observed the present one and the revision is another than before.
"""

from components.deploy.settings import DeploySettings
from components.deploy.targets import Release
from components.deploy.targets.cluster import Cluster, condition, is_observed, poll
from components.deploy.targets.kubernetes import wait_for_deployment
from components.deploy.targets.manifests import (
    PROGRESS_DEADLINE,
    SERVING,
    STOP,
    VERSION,
    Object,
    inference_service,
)

_KIND = "InferenceService"
_POD_LABEL = "serving.kserve.io/inferenceservice"
_OWN = {
    *("serving.kserve.io/deploymentMode", "serving.kserve.io/enable-tag-routing"),
    *("serving.kserve.io/storageSecretName", PROGRESS_DEADLINE, STOP),
}


class KServeTarget:
    """The InferenceService named by the endpoint and, in Standard mode, its candidate."""

    def __init__(self, settings: DeploySettings) -> None:
        self._settings = settings
        self._name = settings.endpoint_name
        self._knative = settings.kserve_mode == "knative"
        self._tried = self._name if self._knative else f"{self._name}-candidate"
        self._cluster = Cluster(settings.namespace)
        self._former = self._cluster.get(SERVING, _KIND, self._name)
        self._applied: list[str] = []

    def plan(self, release: Release) -> list[str]:
        share = f"{self._settings.canary_percent} % of the requests"
        return [
            f"InferenceService {self._name} in namespace {self._settings.namespace}: from "
            f"{_version(self._former)} to {release.version}, {share} after the smoke test"
        ]

    def apply(self, release: Release) -> None:
        if _is_canary(self._former) and _version(self._former) == release.version:
            return  # it has its share already
        # Without a former version Knative has no other to send the requests to.
        share = 0 if self._knative and self._former else None
        self._apply(self._tried, release, share)

    def wait(self, release: Release) -> str:
        self._wait(self._tried, release.version, self._not_to_be_believed(release.version))
        host = f"{self._tried}-predictor.{self._settings.namespace}.svc.cluster.local"
        return f"http://latest-{host}" if self._knative else f"http://{host}"

    def promote(self, release: Release) -> None:
        share = self._settings.canary_percent
        self._apply(self._name, release, None if share == 100 else share)
        self._wait(self._name, release.version, self._not_to_be_believed(release.version))
        if not self._knative:
            self._stop(self._tried)

    def rollback(self, release: Release) -> None:  # noqa: ARG002
        if self._name in self._applied:
            if self._former:
                self._restore(self._former)
            else:
                self._stop(self._name)
        if not self._knative and self._tried in self._applied:
            self._stop(self._tried)

    def _restore(self, former: Object) -> None:
        if self._knative:
            # Knative sends what is not held back to the newest revision that is ready, and until
            # the old specification has one again, that is the one that failed.
            failed = _newest(self._cluster.get(SERVING, _KIND, self._name))
            self._cluster.apply(_as_it_was(former, held_back=True))
            stale = failed if failed != _newest(former) else None
            self._wait(self._name, _version(former), stale)
        self._cluster.apply(_as_it_was(former))

    def _not_to_be_believed(self, version: str) -> str | None:
        """The revision of before, which says Ready until the new one is there."""
        return _newest(self._former) if _version(self._former) != version else None

    def _apply(self, name: str, release: Release, share: int | None) -> None:
        self._cluster.apply(inference_service(self._settings, name, release, share))
        self._applied.append(name)

    def _stop(self, name: str) -> None:
        self._cluster.merge(SERVING, _KIND, name, {"metadata": {"annotations": {STOP: "true"}}})

    def _wait(self, name: str, version: str, stale: str | None) -> None:
        """Wait until a version is ready in a revision that is not the stale one."""
        seconds = self._settings.ready_seconds
        labels = {_POD_LABEL: name, VERSION: version}
        seen: Object = {}

        def look() -> Object | None:
            seen.update(self._cluster.get(SERVING, _KIND, name) or {})
            if seen and is_observed(seen) and self._is_ready(seen, stale):
                return seen
            self._cluster.complain_about_pods(labels)
            return None

        poll(look, lambda: f"InferenceService {name} was not ready ({_missing(seen)})", seconds)
        if not self._knative:
            wait_for_deployment(self._cluster, f"{name}-predictor", labels, seconds)

    def _is_ready(self, service: Object, stale: str | None) -> bool:
        if condition(service, "Ready").get("status") != "True":
            return False
        if not self._knative:
            return True
        ready = _predictor(service).get("latestReadyRevision")
        return ready is not None and ready == _newest(service) and ready != stale


def _as_it_was(service: Object, *, held_back: bool = False) -> Object:
    """The manifest that makes a service again what it was; no request goes to it if held back."""
    metadata = service["metadata"]
    annotations = metadata.get("annotations", {})
    share = {"canaryTrafficPercent": 0} if held_back else {}
    return {
        "apiVersion": SERVING,
        "kind": _KIND,
        "metadata": {
            "name": metadata["name"],
            "labels": metadata.get("labels", {}),
            "annotations": {name: annotations[name] for name in _OWN & annotations.keys()},
        },
        "spec": {"predictor": service["spec"]["predictor"] | share},
    }


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


def _is_canary(service: Object | None) -> bool:
    return service is not None and "canaryTrafficPercent" in service["spec"]["predictor"]


def _missing(service: Object) -> str:
    if not service or not is_observed(service):
        return "its controller has not looked at it yet"
    ready = condition(service, "Ready")
    message: str = ready.get("message") or ready.get("reason") or "no revision of it is ready yet"
    return message
