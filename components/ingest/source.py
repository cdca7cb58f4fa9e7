"""Choose the version of the source that a run reads: the current one, or one in the mirror."""

import logging
from dataclasses import dataclass

from components.errors import UserError
from components.ingest.formats import AUTO, suffixes_of
from components.ingest.mirror import find_mirror, mirror
from components.ingest.objects import SourceObject, Storage, version_of
from components.ingest.settings import SourceSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """The objects to read.

    Attributes:
        version: a digest over all objects.
        objects: those of `source`.
        products: those of `products_source`.
    """

    version: str
    objects: list[SourceObject]
    products: list[SourceObject]


def resolve(settings: SourceSettings) -> str:
    """The version of the source that a run would read; it changes if any object changes.

    Raises:
        UserError: if the source cannot be found, or is not the version in the settings.
    """
    storage = Storage(anonymous=settings.anonymous, requester_pays=settings.requester_pays)
    if _find_mirrored(storage, settings):
        return settings.source_version
    source = _find_original(storage, settings)
    objects = source.objects + source.products
    size = sum(found.bytes for found in objects)
    log.info(
        "%s: %d objects, %d bytes, version %s", settings.source, len(objects), size, source.version
    )
    return source.version


def open_source(storage: Storage, settings: SourceSettings) -> Source:
    """Open the source, and copy it to the mirror if the settings have one.

    Raises:
        UserError: as `resolve` does.
    """
    if mirrored := _find_mirrored(storage, settings):
        return mirrored
    source = _find_original(storage, settings)
    if not settings.mirror_to:
        return source

    def copies(objects: list[SourceObject], target: str) -> list[SourceObject]:
        there = find_mirror(storage, source.version, target)
        return there or mirror(storage, objects, source.version, target)

    objects = copies(source.objects, settings.mirror_to)
    products = copies(source.products, _products_mirror(settings)) if source.products else []
    return Source(source.version, objects, products)


def _find_mirrored(storage: Storage, settings: SourceSettings) -> Source | None:
    """The mirror of the version in the settings, if it exists."""
    version = settings.source_version
    if not settings.mirror_to or not version:
        return None
    objects = find_mirror(storage, version, settings.mirror_to)
    products: list[SourceObject] | None = []
    if settings.products_source:
        products = find_mirror(storage, version, _products_mirror(settings))
    if objects is None or products is None:
        return None
    return Source(version, objects, products)


def _products_mirror(settings: SourceSettings) -> str:
    return f"{settings.mirror_to.rstrip('/')}/products"


def _find_original(storage: Storage, settings: SourceSettings) -> Source:
    objects = storage.find(settings.source, suffixes_of(settings.format))
    products: list[SourceObject] = []
    if settings.products_source:
        products = storage.find(settings.products_source, suffixes_of(AUTO))
    empty = [found.uri for found in objects + products if not found.bytes]
    if empty:
        raise UserError(f"{empty[0]} is empty: upload it again, or delete it")
    version = version_of(objects + products)
    if settings.source_version not in ("", version):
        raise UserError(
            f"{settings.source} no longer has version {settings.source_version} but {version}: "
            f"run again from the resolve step"
        )
    return Source(version, objects, products)
