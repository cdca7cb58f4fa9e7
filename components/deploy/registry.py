"""Enter a version in a Kubeflow Model Registry, by its REST API v1alpha3."""

from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from components.artifacts.model import model_facts
from components.deploy.http import Ask, client
from components.deploy.targets.target import Release
from components.errors import UserError

_API = "/api/model_registry/v1alpha3"


def register(address: str, name: str, release: Release) -> None:
    """Enter a version of a model, with its facts and where it lies, unless it is entered.

    Args:
        address: URL of the registry.
        name: Name of the registered model, which is made if there is none.
        release: The stored version.

    Raises:
        UserError: if the registry gives no answer, or refuses.
    """
    ask = client(f"{address.rstrip('/')}{_API}")
    try:
        model = _find(ask, "registered_model", name) or ask("/registered_models", {"name": name})
        facts = {fact: _value(value) for fact, value in model_facts(release.bundle).items()}
        version = {"name": release.version, "customProperties": facts}
        entry = _find(ask, "model_version", release.version, model["id"]) or ask(
            f"/registered_models/{model['id']}/versions",
            version | {"registeredModelId": model["id"]},
        )
        if not _find(ask, "model_artifact", name, entry["id"]):
            artifact = {"artifactType": "model-artifact", "name": name, "uri": release.location}
            ask(f"/model_versions/{entry['id']}/artifacts", artifact)
    except OSError as error:
        raise UserError(
            f"the model registry at {address} does not take version {release.version}: "
            f"{error}: check model_registry"
        ) from None


def _find(ask: Ask, kind: str, name: str, parent: str | None = None) -> Any:
    """The entry with a name, below a parent if it has one; None if there is none."""
    wanted = {"name": name} | ({"parentResourceId": parent} if parent else {})
    try:
        return ask(f"/{kind}?{urlencode(wanted)}", None)
    except HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return None
        raise


def _value(fact: str | float) -> dict[str, str | float]:
    if isinstance(fact, str):
        return {"metadataType": "MetadataStringValue", "string_value": fact}
    return {"metadataType": "MetadataDoubleValue", "double_value": fact}
