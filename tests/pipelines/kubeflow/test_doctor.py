"""Each check of the doctor, when all is well and when it is not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec
from typer import Typer
from typer.testing import CliRunner

from pipelines.command import kubeflow as remote
from pipelines.definition.environment import Access, Environment, Gpu, Toleration
from pipelines.definition.package import Package
from pipelines.kubeflow import doctor
from pipelines.kubeflow.client import connect
from pipelines.kubeflow.doctor import Check, CheckResult
from pipelines.local.object_store import ObjectStore
from tests.pipelines.fake_kubeflow import FakeKubeflow

Answers = dict[str, tuple[int, Any]]

NODE = {
    "metadata": {"name": "gpu-1"},
    "spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]},
    "status": {"allocatable": {"nvidia.com/gpu": "1"}},
}


@contextmanager
def serve(answers: Answers) -> Iterator[str]:
    """Answer each path as told, others with 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(unquote(self.path), (404, {"message": "not found"}))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815 - named by http.server

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """A Kubernetes API that the kubeconfig points at; tests fill in its answers."""
    answers: Answers = {}
    file = tmp_path / "kubeconfig"
    with serve(answers) as url:
        config = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": url}}],
            "users": [{"name": "me", "user": {}}],
        }
        file.write_text(yaml.safe_dump(config))
        point_at(file, monkeypatch)
        yield answers


def point_at(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("kubernetes.config", "kubernetes.config.kube_config"):
        monkeypatch.setattr(f"{module}.KUBE_CONFIG_DEFAULT_LOCATION", str(file))


def look(check: Any, *arguments: Any) -> CheckResult:
    checks: list[Check] = [("check", lambda: check(*arguments))]
    (finding,) = doctor._run(checks)
    return finding


@pytest.mark.parametrize(
    ("tag", "account", "state", "words"),
    [
        ("2.17.0", "alsolike-pipeline", "ok", "2.17"),
        ("v2.16.1", None, "ok", "2.16"),
        ("2.16.1", "alsolike-pipeline", "failed", "upgrade it to 2.17, or leave the account out"),
        ("2.5.0", None, "failed", "2.5 is too old: upgrade it to 2.16 or newer"),
        ("unknown", None, "unseen", "it must be 2.16 or newer"),
    ],
)
def test_the_release_of_kubeflow_pipelines_is_looked_at(
    fake: FakeKubeflow,
    environment: Environment,
    tag: str,
    account: str | None,
    state: str,
    words: str,
) -> None:
    fake.release = tag
    settings = environment.kubeflow.model_copy(update={"service_account": account})
    with connect(settings) as session:
        found = look(doctor.check_release, session)
    assert (found.state, words in found.text) == (state, True)


def test_the_namespace_is_found_or_missed(cluster: Answers, environment: Environment) -> None:
    missed = look(doctor.check_namespace, environment)
    assert (missed.state, "create the profile" in missed.text) == ("failed", True)
    cluster["/api/v1/namespaces/kubeflow"] = (200, {"metadata": {"name": "kubeflow"}})
    assert look(doctor.check_namespace, environment).state == "ok"


def test_a_missing_service_account_says_how_to_make_it(
    cluster: Answers, environment: Environment
) -> None:
    account = environment.kubeflow.model_copy(update={"service_account": "alsolike-pipeline"})
    ours = environment.model_copy(update={"kubeflow": account})
    assert "apply --kustomize pipelines/manifests" in look(doctor.check_service_account, ours).text
    path = "/api/v1/namespaces/kubeflow/serviceaccounts/alsolike-pipeline"
    cluster[path] = (200, {"metadata": {"name": "alsolike-pipeline"}})
    assert look(doctor.check_service_account, ours).state == "ok"


def test_a_secret_must_have_its_keys_and_may_be_missing_only_if_optional(
    cluster: Answers, environment: Environment
) -> None:
    assert environment.s3 is not None
    assert look(doctor.check_secret, environment, environment.s3).state == "ok"
    needed = environment.s3.model_copy(update={"optional": False})
    assert "there is no secret alsolike-s3" in look(doctor.check_secret, environment, needed).text
    path = "/api/v1/namespaces/kubeflow/secrets/alsolike-s3"
    cluster[path] = (200, {"data": {"AWS_ACCESS_KEY_ID": "eA=="}})
    lacking = look(doctor.check_secret, environment, needed)
    assert (lacking.state, "lacks AWS_SECRET_ACCESS_KEY" in lacking.text) == ("failed", True)
    cluster[path] = (200, {"data": {"AWS_ACCESS_KEY_ID": "eA==", "AWS_SECRET_ACCESS_KEY": "eA=="}})
    assert look(doctor.check_secret, environment, needed).state == "ok"


def test_a_pull_secret_must_be_one(cluster: Answers, environment: Environment) -> None:
    path = "/api/v1/namespaces/kubeflow/secrets/pull"
    cluster[path] = (200, {"type": "Opaque"})
    assert look(doctor.check_pull_secret, environment, "pull").state == "failed"
    cluster[path] = (200, {"type": "kubernetes.io/dockerconfigjson"})
    assert look(doctor.check_pull_secret, environment, "pull").state == "ok"


@pytest.mark.parametrize(
    ("node", "gpu", "words"),
    [
        (NODE, Gpu(), "1 with nvidia.com/gpu"),
        (NODE, Gpu(count=2), "offers 2 nvidia.com/gpu"),
        (NODE, Gpu(tolerations=()), "repel the pod by the taint nvidia.com/gpu:NoSchedule"),
        (
            NODE,
            Gpu(tolerations=(Toleration(key="nvidia.com/gpu", effect="NoExecute"),)),
            "repel the pod",
        ),
        (None, Gpu(), "no node has the labels"),
    ],
)
def test_a_gpu_node_must_exist_and_be_open(
    cluster: Answers, node: Any, gpu: Gpu, words: str
) -> None:
    cluster["/api/v1/nodes?labelSelector="] = (200, {"items": [node] if node else []})
    finding = look(doctor.check_gpu_nodes, gpu)
    assert words in finding.text
    assert finding.state == ("ok" if words.startswith("1 with") else "failed")


def test_kserve_is_found_or_missed(cluster: Answers) -> None:
    assert "install it, or deploy to another target" in look(doctor.check_kserve).text
    resource = {"name": "inferenceservices", "namespaced": True, "kind": "InferenceService"}
    cluster["/apis/serving.kserve.io/v1beta1"] = (
        200,
        {
            "groupVersion": "serving.kserve.io/v1beta1",
            "resources": [resource | {"verbs": ["get"], "singularName": "inferenceservice"}],
        },
    )
    assert look(doctor.check_kserve).state == "ok"


def with_kserve(environment: Environment, endpoint: str, **parameters: str) -> Environment:
    """The environment with a store of its own, deploying to KServe."""
    given = environment.parameters | {"target": "kserve", "namespace": "shop"} | parameters
    return environment.model_copy(update={"s3_endpoint": endpoint, "parameters": given})


@pytest.mark.parametrize(
    ("endpoint", "place", "https"),
    [
        ("http://seaweedfs.kubeflow:8333", "seaweedfs.kubeflow:8333", "0"),
        ("https://store.example.com", "store.example.com", "1"),
    ],
)
def test_kserve_must_be_told_of_a_store_that_is_not_aws(
    cluster: Answers, environment: Environment, endpoint: str, place: str, https: str
) -> None:
    ours = with_kserve(environment, endpoint, s3_secret="keys")
    told = {
        "serving.kserve.io/s3-endpoint": place,
        "serving.kserve.io/s3-usehttps": https,
        "serving.kserve.io/s3-region": "us-east-1",
    }
    path = "/api/v1/namespaces/shop/secrets/keys"
    for annotations in ({}, told | {"serving.kserve.io/s3-endpoint": f"https://{place}"}):
        cluster[path] = (200, {"metadata": {"name": "keys", "annotations": annotations}})
        finding = look(doctor.check_kserve_store, ours)
        assert finding.state == "failed"
        assert "kubectl annotate --overwrite --namespace shop secret keys" in finding.text
        assert all(f"{key}={value}" in finding.text for key, value in told.items())
    cluster[path] = (200, {"metadata": {"name": "keys", "annotations": told | {"team": "x"}}})
    assert look(doctor.check_kserve_store, ours) == CheckResult(
        "check", "ok", f"{endpoint}, by secret keys"
    )


def test_a_secret_that_the_servers_are_given_must_be_there(
    cluster: Answers, environment: Environment
) -> None:
    parameters = environment.parameters | {"s3_secret": "keys", "namespace": "shop"}
    ours = environment.model_copy(update={"parameters": parameters})
    assert "servers' keys" in {name for name, _ in doctor.cluster_checks(ours)}
    assert "servers' keys" not in {name for name, _ in doctor.cluster_checks(environment)}
    missed = look(doctor.check_servers_keys, ours)
    assert (missed.state, "leave the parameter s3_secret out" in missed.text) == ("failed", True)
    cluster["/api/v1/namespaces/shop/secrets/keys"] = (200, {"metadata": {"name": "keys"}})
    assert look(doctor.check_servers_keys, ours).text == "by secret keys"


def test_kserve_cannot_be_told_without_a_secret(environment: Environment) -> None:
    ours = with_kserve(environment, "https://store.example.com")
    assert (
        "name the secret in the parameter s3_secret" in look(doctor.check_kserve_store, ours).text
    )


def test_kserve_is_asked_for_its_store_only_where_it_serves_from_one_of_ones_own(
    environment: Environment,
) -> None:
    def checks(ours: Environment) -> set[str]:
        return {name for name, _ in doctor.cluster_checks(ours)}

    ours = with_kserve(environment, "https://store.example.com")
    assert "KServe's store" in checks(ours)
    assert "KServe's store" not in checks(ours.model_copy(update={"s3_endpoint": None}))
    assert "KServe's store" not in checks(environment)


def test_the_shape_of_the_secret_shows_what_kserve_must_be_told(environment: Environment) -> None:
    shape = Path(doctor.__file__).parents[1] / "manifests" / "secrets.yaml"
    shown = {line.strip("# ").partition(": ")[0] for line in shape.read_text().splitlines()}
    assert doctor._kserve_annotations(environment).keys() <= shown


def test_what_may_not_be_seen_is_no_failure(
    cluster: Answers, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster["/api/v1/namespaces/kubeflow"] = (403, {"message": "forbidden"})
    assert look(doctor.check_namespace, environment).state == "unseen"
    point_at(tmp_path / "none", monkeypatch)
    assert "no kubeconfig here" in look(doctor.check_namespace, environment).text


def test_the_bucket_opens_or_says_why_not(
    environment: Environment,
    object_store: ObjectStore,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = environment.model_copy(update={"bucket": bucket, "s3_endpoint": object_store.endpoint})
    assert look(doctor.check_bucket, ours).state == "ok"
    other = ours.model_copy(update={"bucket": "other-bucket"})
    assert "other-bucket cannot be opened (NoSuchBucket)" in look(doctor.check_bucket, other).text
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert "SignatureDoesNotMatch" in look(doctor.check_bucket, ours).text
    away = ours.model_copy(update={"s3_endpoint": "http://127.0.0.1:9"})
    assert look(doctor.check_bucket, away).state == "unseen"


def test_every_image_must_have_a_digest_that_the_registry_knows(package: Package) -> None:
    assert "has no digest" in look(doctor.check_images, package).text
    answers: Answers = {}
    with serve(answers) as registry:
        locked = relocated(package, registry.removeprefix("http://"))
        for name in ("data", "train-cpu"):
            path = f"/v2/alsolike/{name}/manifests/sha256:{'a' * 64}"
            answers[path] = (200, {})
        assert look(doctor.check_images, locked).state == "ok"
        answers[path] = (401, {})
        assert look(doctor.check_images, locked).state == "unseen"
        del answers[path]
        assert "push the images" in look(doctor.check_images, locked).text


def relocated(package: Package, registry: str) -> Package:
    text = json_format.MessageToJson(package.pipeline)
    text = text.replace("alsolike/data:1", f"{registry}/alsolike/data:1@sha256:{'a' * 64}")
    text = text.replace("alsolike/train-cpu:1", f"{registry}/alsolike/train-cpu@sha256:{'a' * 64}")
    return replace(package, pipeline=json_format.Parse(text, PipelineSpec()))


def test_the_endpoint_must_serve_as_many_users_as_the_environment_says(
    environment: Environment, fake: FakeKubeflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, _, access = (check for _, check in doctor.kubeflow_checks(environment))
    assert (look(endpoint).state, look(access).state) == ("ok", "ok")
    fake.token = "secret"
    monkeypatch.setenv("ALSOLIKE_KFP_TOKEN", "secret")
    several = environment.kubeflow.model_copy(update={"access": Access.TOKEN})
    ours = environment.model_copy(update={"kubeflow": several})
    endpoint, _, access = (check for _, check in doctor.kubeflow_checks(ours))
    assert "set kubeflow.profile" in look(endpoint).text
    monkeypatch.setenv("ALSOLIKE_KFP_TOKEN", "old")
    assert "does not accept the credentials" in look(access).text


def test_the_command_shows_every_check_and_fails_if_one_does(
    fake: FakeKubeflow, package: Package, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    point_at(tmp_path / "none", monkeypatch)
    monkeypatch.setattr("pipelines.kubeflow.doctor.check_bucket", lambda _: "s3://bucket")
    app = Typer()
    app.command()(remote.doctor)
    options = ["--package", str(package.path), "--endpoint", fake.endpoint, "--access", "anonymous"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 1
    shown = {line.split()[1] for line in result.stdout.splitlines()}
    assert shown == {
        *("endpoint", "release", "access", "namespace", "secret", "KServe", "bucket", "images"),
    }
