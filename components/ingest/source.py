"""Which version of the source a run reads: the one there is, or the one in one's own mirror."""

import logging

from components.errors import UserError
from components.ingest.formats import FORMATS
from components.ingest.mirror import find_mirror, mirror
from components.ingest.objects import SourceObject, Storage, version_of
from components.ingest.settings import SourceSettings

log = logging.getLogger(__name__)


def resolve(settings: SourceSettings) -> str:
    """The version of the source that a run would read: another one when any object changes.

    Raises:
        UserError: if the source cannot be found, or is not of the version asked for.
    """
    storage = Storage(anonymous=settings.anonymous, requester_pays=settings.requester_pays)
    if _find_mirrored(storage, settings):
        return settings.source_version
    version, objects = _find_original(storage, settings)
    size = sum(found.bytes for found in objects)
    log.info("%s: %d objects, %d bytes, version %s", settings.source, len(objects), size, version)
    return version


def open_source(storage: Storage, settings: SourceSettings) -> tuple[str, list[SourceObject]]:
    """The version of the source, and the objects to read it from, mirrored if so asked.

    Raises:
        UserError: as `resolve` does.
    """
    mirrored = _find_mirrored(storage, settings)
    if mirrored:
        return settings.source_version, mirrored
    version, objects = _find_original(storage, settings)
    if settings.mirror_to:
        objects = find_mirror(storage, version, settings.mirror_to) or mirror(
            storage, objects, version, settings.mirror_to
        )
    return version, objects


def _find_mirrored(storage: Storage, settings: SourceSettings) -> list[SourceObject] | None:
    """The copies of the version asked for, if there are any."""
    if not settings.mirror_to or not settings.source_version:
        return None
    return find_mirror(storage, settings.source_version, settings.mirror_to)


def _find_original(storage: Storage, settings: SourceSettings) -> tuple[str, list[SourceObject]]:
    objects = storage.find(settings.source, FORMATS[settings.format].suffixes)
    empty = [found.uri for found in objects if not found.bytes]
    if empty:
        raise UserError(f"{empty[0]} is empty: upload it again, or delete it")
    version = version_of(objects)
    if settings.source_version not in ("", version):
        raise UserError(
            f"{settings.source} is no longer of version {settings.source_version} but {version}: "
            f"run again from the resolve step"
        )
    return version, objects
