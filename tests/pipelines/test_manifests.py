"""The cluster's side: valid for Kubernetes, complete, and no wider than it must be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipelines import platform
from pipelines.environment import load_environment

FOLDER = Path(platform.__file__).with_name("manifests")


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


def test_only_schedules_can_be_deleted() -> None:
    for role in named("Role").values():
        for rule in role["rules"]:
            assert "delete" not in rule["verbs"] or rule["resources"] == ["jobs"]


def test_deploy_changes_objects_of_its_own_names_alone() -> None:
    for rule in named("Role")["alsolike-deploy"]["rules"]:
        assert rule["verbs"] == ["create"] or rule["resourceNames"]


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


def test_no_secret_is_filled_in() -> None:
    for secret in named("Secret").values():
        assert set(secret["stringData"].values()) == {"FILL-IN"}
