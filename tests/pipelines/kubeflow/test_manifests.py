"""The cluster's side: valid for Kubernetes, complete, and no wider than it must be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from pipelines.definition import platform
from pipelines.definition.environment import load_environment

FOLDER = Path(platform.__file__).parents[1] / "manifests"

# What the pods of a run call of Kubeflow Pipelines, and the port of the pod behind it: the Services
# in its manifests/kustomize, of 2.17 and, for its object store, of the releases before.
SERVICES = {
    ("ml-pipeline", 8887): 8887,
    ("ml-pipeline", 8888): 8888,
    ("metadata-grpc-service", 8080): 8080,
    ("seaweedfs", 8333): 8333,
    ("seaweedfs", 9000): 8333,
}
EARLIER_STORES = {"2.15, SeaweedFS": 8333, "2.14, MinIO": 9000}


def objects() -> Iterator[dict[str, Any]]:
    for file in sorted(FOLDER.glob("*.yaml")):
        if file.name != "kustomization.yaml":
            yield from yaml.safe_load_all(file.read_text())


def named(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in objects() if each["kind"] == kind}


@pytest.mark.parametrize("version", ["1.28", "1.32", "1.37"])
@pytest.mark.parametrize(
    "manifest", list(objects()), ids=lambda m: f"{m['kind']}-{m['metadata']['name']}"
)
def test_every_object_is_valid_for_kubernetes(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    policy = named("NetworkPolicy")["alsolike-runs"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(policy | {"spce": {}}, "1.32", strict=True)


def test_everything_but_the_secrets_is_applied() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    others = {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "secrets.yaml"}
    assert set(listed) == others


def test_no_role_has_a_wildcard_or_writes_secrets_roles_or_pods() -> None:
    for role in named("Role").values():
        for rule in role["rules"]:
            assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            if {"secrets", "roles", "rolebindings", "pods", "pods/exec"} & set(rule["resources"]):
                assert set(rule["verbs"]) <= {"get", "list", "watch"}
            if "secrets" in rule["resources"]:
                assert rule["resourceNames"]


def test_only_schedules_and_the_own_inference_services_can_be_deleted() -> None:
    own = ["recommender", "recommender-candidate"]
    deletable = [
        (rule["resources"], rule.get("resourceNames"))
        for role in named("Role").values()
        for rule in role["rules"]
        if "delete" in rule["verbs"]
    ]
    assert sorted(deletable) == [(["inferenceservices"], own), (["jobs"], None)]


def test_deploy_changes_objects_of_its_own_names_alone() -> None:
    for rule in named("Role")["alsolike-deploy"]["rules"]:
        assert rule["verbs"] in (["create"], ["list"]) or rule["resourceNames"]


def test_deploy_may_see_the_pods_wherever_it_deploys() -> None:
    """In another namespace than that of the runs it has this role alone."""
    assert {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]} in named("Role")[
        "alsolike-deploy"
    ]["rules"]


def test_the_servers_have_the_pull_secret_of_the_environment() -> None:
    [secret] = named("ServiceAccount")["alsolike-serve"]["imagePullSecrets"]
    assert [secret["name"]] == list(load_environment("prod").image_pull_secrets)


def test_every_binding_joins_a_role_and_an_account_that_exist() -> None:
    roles, accounts = named("Role"), named("ServiceAccount")
    bindings = named("RoleBinding").values()
    assert {binding["roleRef"]["name"] for binding in bindings} == set(roles)
    assert {binding["subjects"][0]["name"] for binding in bindings} <= set(accounts)


def test_the_environments_use_the_accounts_and_secrets_that_the_manifests_name() -> None:
    prod = load_environment("prod")
    assert prod.kubeflow.service_account in named("ServiceAccount")
    assert prod.parameters["service_account"] in named("ServiceAccount")
    assert prod.parameters["namespace"] == prod.kubeflow.namespace
    assert prod.parameters["s3_secret"] in named("Secret")
    for secret in (prod.s3, prod.webhook):
        assert secret is not None
        shape = named("Secret")[secret.secret]
        assert set(secret.variables) == set(shape["stringData"])


@pytest.mark.parametrize("pod_port", sorted({*SERVICES.values(), *EARLIER_STORES.values()}))
def test_the_policy_lets_runs_come_to_what_kubeflow_ships(pod_port: int) -> None:
    """A policy is held against the pod's port, after the Service's was exchanged for it."""
    rules = named("NetworkPolicy")["alsolike-runs"]["spec"]["egress"]
    kubeflow = {"matchLabels": {"kubernetes.io/metadata.name": "kubeflow"}}
    (ports,) = [
        rule["ports"] for rule in rules if {"namespaceSelector": kubeflow} in rule.get("to", [])
    ]
    assert {"protocol": "TCP", "port": pod_port} in ports


def test_the_store_of_dev_is_one_that_kubeflow_ships() -> None:
    dev = load_environment("dev")
    endpoint = urlsplit(dev.s3_endpoint or "")
    service, _, namespace = (endpoint.hostname or "").partition(".")
    assert (service, endpoint.port) in SERVICES
    assert namespace == dev.kubeflow.system_namespace


def test_no_secret_is_filled_in() -> None:
    for secret in named("Secret").values():
        assert set(secret["stringData"].values()) == {"FILL-IN"}
