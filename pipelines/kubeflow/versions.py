"""The versions of a pipeline on Kubeflow: one for each content, named by git revision."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from kfp_server_api import PipelineUploadServiceApi, V2beta1Pipeline, V2beta1PipelineVersion

from components import images
from components.errors import UserError
from pipelines.definition.environment import Environment
from pipelines.definition.package import Package
from pipelines.kubeflow.client import Session

_PAGE = 100


@dataclass(frozen=True)
class Version:
    """A version of a pipeline on Kubeflow."""

    pipeline_id: str
    version_id: str
    name: str


def git_revision() -> str:
    """The abbreviated commit of the checkout, with `-dirty` appended if files differ from it.

    Raises:
        UserError: if this is not a git checkout.
    """
    try:
        revision = _git("rev-parse", "--short=12", "HEAD")
        return (
            f"{revision}-dirty"
            if _git("status", "--porcelain", "--untracked-files=no")
            else revision
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        raise UserError(
            "a version is named by git revision, but this is not a git checkout: give --revision"
        ) from None


def git_source() -> str:
    """The URL that this checkout was cloned from, without credentials; empty if unknown."""
    try:
        url = urlsplit(_git("remote", "get-url", "origin"))
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()


def find_version(session: Session, environment: Environment, package: Package) -> Version | None:
    """The version with the content of the package, or None if it was not uploaded.

    Args:
        session: the client.
        environment: has the name of the pipeline.
        package: the compiled pipeline.
    """
    versions = _list_versions(session, find_pipeline(session, environment))
    same = (version for version in versions if _mark(package) in (version.description or ""))
    return next(map(_version, same), None)


def find_version_named(session: Session, environment: Environment, name: str) -> Version | None:
    """The version with a name, or None.

    Args:
        session: the client.
        environment: has the name of the pipeline.
        name: of the version.
    """
    versions = _list_versions(session, find_pipeline(session, environment))
    same = (version for version in versions if version.display_name == name)
    return next(map(_version, same), None)


def publish(
    session: Session, environment: Environment, package: Package, revision: str
) -> tuple[Version, bool]:
    """Upload the package as a version named by the revision, unless its content is uploaded.

    If another content has this name already, the start of the digest is appended to it.

    Args:
        session: the client.
        environment: has the name of the pipeline.
        package: the compiled pipeline.
        revision: the name of a new version.

    Returns:
        The version, and whether it was uploaded now.
    """
    if existing := find_version(session, environment, package):
        return existing, False
    pipeline = _ensure_pipeline(session, environment, package)
    taken = find_version_named(session, environment, revision)
    name = f"{revision}-{package.digest[:8]}" if taken else revision
    # Kubeflow accepts tags of up to 63 characters, and ignores them before release 2.17.
    tags = {"revision": revision[:63], "sha256": package.digest[:12], "alsolike": images.VERSION}
    upload = partial(
        PipelineUploadServiceApi(session.client.pipelines.api_client).upload_pipeline_version,
        str(package.path),
        name=name,
        pipelineid=pipeline.pipeline_id,
        description=_mark(package),
        tags=json.dumps(tags),
    )
    uploaded = session.create(
        f"upload the pipeline version {name}",
        lambda: _version(upload()),
        find=partial(find_version, session, environment, package),
    )
    return uploaded, True


def find_pipeline(session: Session, environment: Environment) -> V2beta1Pipeline | None:
    """The environment's pipeline, or None if it was not uploaded."""
    found = session.ask(
        "list the pipelines",
        partial(
            session.client.list_pipelines,
            page_size=_PAGE,
            namespace=session.settings.profile,
            filter=named(environment.pipeline),
        ),
    ).pipelines
    return found[0] if found else None


def named(name: str) -> str:
    """The API's filter for a display name."""
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def _ensure_pipeline(
    session: Session, environment: Environment, package: Package
) -> V2beta1Pipeline:
    find = partial(find_pipeline, session, environment)
    body = V2beta1Pipeline(
        display_name=environment.pipeline,
        name=environment.pipeline,
        namespace=session.settings.profile,
        description=package.pipeline.pipeline_info.description,
    )
    make = partial(session.client.pipelines.pipeline_service_create_pipeline, pipeline=body)
    return find() or session.create(f"create the pipeline {environment.pipeline}", make, find)


def _list_versions(
    session: Session, pipeline: V2beta1Pipeline | None
) -> Iterator[V2beta1PipelineVersion]:
    """All versions, the newest first."""
    token = ""
    while pipeline is not None:
        page = session.ask(
            "list the pipeline's versions",
            partial(
                session.client.list_pipeline_versions,
                pipeline.pipeline_id,
                page_token=token,
                page_size=_PAGE,
                sort_by="created_at desc",
            ),
        )
        yield from page.pipeline_versions or []
        token = page.next_page_token
        if not token:
            return


def _mark(package: Package) -> str:
    return f"sha256:{package.digest}"


def _version(version: V2beta1PipelineVersion) -> Version:
    return Version(version.pipeline_id, version.pipeline_version_id, version.display_name)


def _git(*arguments: str) -> str:
    run = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True)
    return run.stdout.strip()
