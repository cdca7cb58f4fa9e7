"""Find which objects of a source hold ratings and which hold products, by their first lines."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from components.errors import UserError
from components.ingest.detection import (
    Head,
    count_lacks,
    describe_unknown,
    find_format,
    fits,
    head_of,
)
from components.ingest.download import ObjectStream
from components.ingest.formats import AUTO, FORMATS, Format, format_of
from components.ingest.objects import SourceObject, Storage
from components.ingest.products import PRODUCT_FORMATS
from components.ingest.settings import IngestSettings
from components.ingest.source import Source

_HEAD_BYTES = 64 << 10
_HEADS_AT_ONCE = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Contents:
    """The objects to read, and their formats.

    Attributes:
        format: the name of the ratings' format.
        layout: that format, with the settings of the user.
        ratings: the objects that hold ratings.
        products: the objects that hold products, each with its format.
    """

    format: str
    layout: Format
    ratings: list[SourceObject]
    products: list[tuple[SourceObject, Format]]


def find_contents(storage: Storage, source: Source, settings: IngestSettings) -> Contents:
    """Separate ratings from products, and find the format of the ratings unless it is set.

    Args:
        storage: where the objects are.
        source: the objects.
        settings: of the step.

    Raises:
        UserError: if no format of the ratings is certain, or their files have several formats.
    """
    name: str = settings.format
    ratings = source.objects
    others: dict[SourceObject, Head] = {}
    if name == AUTO:
        heads = _read_heads(storage, source.objects)
        name, ratings = _find_ratings(heads, settings)
        known = {*ratings}
        others = {found: head for found, head in heads.items() if found not in known}
    given = _find_products(_read_heads(storage, source.products))
    if source.products and not given:
        raise UserError(
            f"{settings.products_source}: its first line has no known columns of products: name "
            f"the columns product_id, product_title and product_category"
        )
    return Contents(name, format_of(name, settings), ratings, given + _find_products(others))


def _read_heads(storage: Storage, objects: list[SourceObject]) -> dict[SourceObject, Head]:
    def read(found: SourceObject) -> Head:
        with ObjectStream(storage, replace(found, bytes=min(found.bytes, _HEAD_BYTES))) as stream:
            return head_of(stream.read(), found.uri)

    with ThreadPoolExecutor(_HEADS_AT_ONCE) as pool:
        return dict(zip(objects, pool.map(read, objects), strict=True))


def _find_ratings(
    heads: Mapping[SourceObject, Head], settings: IngestSettings
) -> tuple[str, list[SourceObject]]:
    """The format of the ratings, and the objects that hold them."""
    formats = {name: format_of(name, settings) for name in FORMATS}
    ratings = {found: name for found, head in heads.items() if (name := find_format(head, formats))}
    examples = {name: found.uri for found, name in ratings.items()}
    if not examples:
        others = [found for found, head in heads.items() if not _layout_of_products(head)] or heads
        nearest = min(others, key=lambda found: count_lacks(heads[found], formats))
        raise UserError(describe_unknown(heads[nearest], formats, nearest.uri))
    if len(examples) > 1:
        listed = " and ".join(f"{name} ({uri})" for name, uri in examples.items())
        raise UserError(
            f"{settings.source} has ratings in several formats, {listed}: choose one file or "
            f"folder, or set format"
        )
    return next(iter(examples)), [*ratings]


def _find_products(heads: Mapping[SourceObject, Head]) -> list[tuple[SourceObject, Format]]:
    """The objects that hold products, each with its layout."""
    products = []
    for found, head in heads.items():
        if layout := _layout_of_products(head):
            products.append((found, layout))
        else:
            log.warning("%s is left out: its first line shows no ratings or titles", found.uri)
    return products


def _layout_of_products(head: Head) -> Format | None:
    return next((one for one in PRODUCT_FORMATS if fits(one, head)), None)
