"""Generate ratings to try the pipeline with, in the 15 columns of the Amazon reviews.

Every customer has a taste. It determines which products they rate (mostly products of one shelf,
often neighbours of their last one) and how many stars they give. So a model that learns tastes
beats one that knows averages only, and one that uses the order of a history beats popularity.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from isal import isal_zlib

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

COLUMNS = (
    *("marketplace", "customer_id", "review_id", "product_id", "product_parent"),
    *("product_title", "product_category", "star_rating", "helpful_votes", "total_votes"),
    *("vine", "verified_purchase", "review_headline", "review_body", "review_date"),
)

_DIMENSIONS = 6
_SHARES_OF_STARS = (0.09, 0.05, 0.09, 0.18, 0.59)
_NEXT_ON_SHELF, _FROM_OWN_SHELF = 0.5, 0.3  # otherwise from the whole shop
_FIRST_DAY = np.datetime64("2005-01-01")
_LAST_DAY = np.datetime64("2015-08-31")
_ROWS_A_STRAY_QUOTE = 140_000
_ROUNDS_OF_VARIETY = 3
_BLOCK = 100_000
_GZIP = 31  # the `wbits` that mean 32 kB of window and a gzip header

_CATEGORIES = {
    "Books": ("Atlas", "Cookbook", "Field Guide", "Novel", "Short Stories", "Travelogue"),
    "Camera": ("Camera Bag", "Lens Cloth", "Light Meter", "Tripod", "Viewfinder", "Wide Lens"),
    "Garden": ("Garden Fork", "Hose Reel", "Lantern", "Planter", "Seed Box", "Watering Can"),
    "Kitchen": ("Café Press", "Carving Board", "Kettle", "Saucepan", "Spice Rack", "Tea Tin"),
    "Musical Instruments": ('12" Cymbal', "Capo", "Guitar Strap", "Metronome", "Reed", "Tuner"),
    "Outdoors": ("Bivouac", "Compass", "Daypack", "Headlamp", "Rope", "Trail Map"),
    "Toys": ("Jigsaw", "Kite", "Marble Run", "Puppet", "Train Set", "Wooden Blocks"),
    "Video": ("Comedy", "Detective Story", "Documentary", "Drama", "Nature Film", "Western"),
}
_MAKES = ("Alder", "Beacon", "Cobalt", "Drift", "Ember", "Fjord", "Grove", "Harbor", "Isola")
_KINDS = ("Classic", "Compact", "Everyday", "Grand", "Little", "Silent", "Travel", "Vintage")
_WORDS = """
a about after again all am and any as at be because been before both bought box but by came
can color could day did does even fast feels few fine first fits for found from gift good
great had has have he her his home house however i if in is it just kept kind large last less
like little long looks love made make many me month more most much my never new no not nothing
now of old on one only or other our out over perfect price product quality quite really
recommend right same second seems sent she should since size small so some sound still strong
such than that the their them then there they thing this though time to too two under until up
use used very want was way we week well were what when which while who will with without
wonderful work works worth would year you your
"""


@dataclass(frozen=True)
class _Shop:
    """The products of the shop and their properties.

    Attributes:
        shelves: the first product of each shelf, and the number of products, [shelves + 1].
        popularity: the cumulative probability of the products, [products].
        quality: how much all customers like a product, in standard deviations, [products].
        traits: the properties that tastes like or dislike, [products, dimensions].
    """

    shelves: Integers
    popularity: Floats
    quality: Floats
    traits: Floats

    def __len__(self) -> int:
        return len(self.quality)


def write_sample(
    path: Path,
    rows: int,
    seed: int,
    *,
    customers: int | None = None,
    products: int | None = None,
    order: Literal["shuffled", "newest_first"] = "shuffled",
    review_text: bool = True,
) -> None:
    """Write generated ratings and a few malformed lines to a TSV.gz, completely or not at all.

    The same arguments give the same bytes. A few pairs are rated twice, on different days; a few
    fields have a stray quote.

    Args:
        path: the file to write.
        rows: the number of ratings.
        seed: of the random generator.
        customers: the number of customers; by default they have 12 ratings each.
        products: the number of products; by default they have 80 ratings each.
        order: of the lines.
        review_text: whether reviews have a text.
    """
    generator = np.random.default_rng(seed)
    shop = _stock(generator, products or max(20, rows // 80))
    table = _rate(generator, shop, rows, customers or max(10, rows // 12))
    if order == "shuffled":
        table = table[generator.permutation(rows)]
    else:
        table = table[np.argsort(-table["day"], kind="stable")]
    blocks: Iterable[bytes | memoryview] = chain(
        ["\t".join(COLUMNS).encode() + b"\n"],
        _lines(generator, table, _product_fields(len(shop)), review_text),
        _malformed_lines(max(3, 3 * rows // 1_000_000)),
    )
    # In a folder of its own, which is removed on an interrupt and never shared by two writers.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        partial = Path(folder) / path.name
        _compress(partial, blocks)
        partial.replace(path)


def _compress(path: Path, blocks: Iterable[bytes | memoryview]) -> None:
    compressor = isal_zlib.compressobj(2, wbits=_GZIP)
    with path.open("wb") as file:
        for block in blocks:
            file.write(compressor.compress(block))
        file.write(compressor.flush())


def _stock(generator: np.random.Generator, products: int) -> _Shop:
    """Shelves of about 50 products each, with a popularity by Zipf's law."""
    shelves = np.linspace(0, products, max(2, products // 50) + 1).astype(np.int64)
    return _Shop(
        shelves,
        np.cumsum(_zipf(generator, products)),
        generator.normal(size=products),
        generator.normal(size=(products, _DIMENSIONS)),
    )


def _rate(generator: np.random.Generator, shop: _Shop, rows: int, customers: int) -> Any:
    """A structured array of ratings (customer, product, stars, day), by customer and day."""
    counts = _counts(generator, rows, customers)
    tastes = generator.choice(
        len(shop.shelves) - 1, customers, p=_zipf(generator, len(shop.shelves) - 1)
    )
    customer = np.repeat(np.arange(customers), counts)
    table = np.empty(rows, [(name, np.int64) for name in ("customer", "product", "stars", "day")])
    table["customer"] = customer
    taken_up = _take_up(generator, shop, counts, tastes)
    table["product"] = _vary(generator, shop, customer, taken_up)
    table["stars"] = _star(generator, shop, tastes, table)
    table["day"] = _days(generator, counts)
    return table


def _counts(generator: np.random.Generator, rows: int, customers: int) -> Integers:
    """The number of ratings of each customer: at least 1, for most of them few."""
    counts: Integers = 1 + generator.multinomial(rows - customers, _zipf(generator, customers))
    return counts


def _zipf(generator: np.random.Generator, count: int) -> Floats:
    """Shares by Zipf's law, flattened at the top, in random order."""
    weights: Floats = 1 / (count / 300 + 1 + generator.permutation(count))
    shares: Floats = weights / weights.sum()
    return shares


def _take_up(
    generator: np.random.Generator, shop: _Shop, counts: Integers, tastes: Integers
) -> Integers:
    """The products that each customer rates, in order of time; one customer after the other."""
    starts = np.cumsum(counts) - counts
    busiest_first = np.argsort(-counts, kind="stable")
    chosen = np.empty(counts.sum(), np.int64)
    for step in range(counts.max()):
        active = busiest_first[: np.searchsorted(-counts[busiest_first], -step)]
        draw = generator.random(len(active))
        picked = _draw(generator, shop, np.zeros_like(active), np.full_like(active, len(shop)))
        low, high = shop.shelves[tastes[active]], shop.shelves[tastes[active] + 1]
        own = draw < _NEXT_ON_SHELF + _FROM_OWN_SHELF
        picked[own] = _draw(generator, shop, low[own], high[own])
        if step:
            last = chosen[starts[active] + step - 1]
            follows = (draw < _NEXT_ON_SHELF) & (low <= last) & (last < high)
            ahead = last + generator.integers(1, 4, len(active))
            ahead = low + (ahead - low) % (high - low)
            picked[follows] = ahead[follows]
        chosen[starts[active] + step] = picked
    return chosen


def _vary(
    generator: np.random.Generator, shop: _Shop, customers: Integers, products: Integers
) -> Integers:
    """The same products, with most repeated ones of a customer replaced by others."""
    varied = products.copy()
    for _ in range(_ROUNDS_OF_VARIETY):
        pairs = customers * len(shop) + varied
        order = np.argsort(pairs, kind="stable")
        again = order[1:][np.diff(pairs[order]) == 0]
        shelf = np.searchsorted(shop.shelves, varied[again], side="right") - 1
        low, high = shop.shelves[shelf], shop.shelves[shelf + 1]
        elsewhere = generator.integers(0, len(shop), len(again))
        on_shelf = generator.integers(low, high)
        varied[again] = np.where(generator.random(len(again)) < 0.5, on_shelf, elsewhere)
    return varied


def _draw(generator: np.random.Generator, shop: _Shop, low: Integers, high: Integers) -> Integers:
    """A random product from each range [low, high), by popularity."""
    below = np.where(low > 0, shop.popularity[low - 1], 0.0)
    points = below + generator.random(len(low)) * (shop.popularity[high - 1] - below)
    drawn: Integers = np.searchsorted(shop.popularity, points, side="right")
    return np.clip(drawn, low, high - 1)


def _star(generator: np.random.Generator, shop: _Shop, tastes: Integers, table: Any) -> Integers:
    """Stars from 1 to 5, by the product's quality and the customer's leniency and taste."""
    likes = generator.normal(size=(len(shop.shelves) - 1, _DIMENSIONS)) / np.sqrt(_DIMENSIONS)
    mildness = generator.normal(size=len(tastes))
    customer, product = table["customer"], table["product"]
    liking = np.einsum("nd,nd->n", likes[tastes[customer]], shop.traits[product])
    noise = generator.normal(size=len(table))
    score = 0.5 * shop.quality[product] + 0.5 * mildness[customer] + 1.0 * liking + 0.6 * noise
    bounds = np.quantile(score, np.cumsum(_SHARES_OF_STARS)[:-1])
    stars: Integers = 1 + np.searchsorted(bounds, score)
    return stars


def _days(generator: np.random.Generator, counts: Integers) -> Integers:
    """Days since 1970, ascending for each customer."""
    span = int((_LAST_DAY - _FIRST_DAY).astype(int))
    day = generator.integers(0, span + 1, counts.sum())
    # There are more ratings on later days.
    day = (span * np.sqrt(day / span)).astype(np.int64)
    customer = np.repeat(np.arange(len(counts)), counts)
    ordered: Integers = np.sort(customer * (span + 1) + day) % (span + 1)
    return ordered + int(_FIRST_DAY.astype(int))


def _product_fields(products: int) -> pa.Array:
    """Columns 4 to 7 of each product: id, parent, title and category."""
    categories = list(_CATEGORIES)
    fields = []
    for product in range(products):
        category = categories[product // 50 % len(categories)]
        things = _CATEGORIES[category]
        title = (
            f"{_MAKES[product % len(_MAKES)]} {_KINDS[product // 7 % len(_KINDS)]} "
            f"{things[product // 3 % len(things)]} No. {product}"
        )
        fields.append(f"B{product * 7919 % 10**9:09}\t{100_000_000 + product}\t{title}\t{category}")
    return pa.array(fields)


def _lines(
    generator: np.random.Generator, table: Any, products: pa.Array, review_text: bool
) -> Iterator[memoryview]:
    """The ratings as blocks of lines."""
    words = _WORDS.split()
    phrases = pa.array(
        [" ".join(generator.choice(words, size)) for size in generator.integers(8, 35, 20_000)]
    )
    spacing = min(_ROWS_A_STRAY_QUOTE, len(table) // 3)
    for start in range(0, len(table), _BLOCK):
        rows = table[start : start + _BLOCK]
        numbers = np.arange(start, start + len(rows))
        if review_text:
            picks = generator.integers(0, len(phrases), (2, len(rows)))
            body = pc.binary_join_element_wise(*(phrases.take(pa.array(p)) for p in picks), ". ")
        else:
            body = pa.repeat("", len(rows))
        columns = [
            pa.repeat("US", len(rows)),
            pc.cast(pa.array(10_000_000 + rows["customer"]), pa.string()),
            pc.binary_join_element_wise("R", pc.cast(pa.array(10**12 + numbers), pa.string()), ""),
            products.take(pa.array(rows["product"])),
            pc.cast(pa.array(rows["stars"]), pa.string()),
            *(pa.repeat(constant, len(rows)) for constant in ("0", "0", "N", "Y")),
            _headlines(rows["stars"], numbers % spacing == spacing // 2),
            body,
            pc.strftime(pa.array(rows["day"].astype("datetime64[D]")), "%Y-%m-%d\n"),
        ]
        yield memoryview(pc.binary_join_element_wise(*columns, "\t").buffers()[2])


def _headlines(stars: Integers, stray: npt.NDArray[np.bool_]) -> pa.Array:
    """A headline for each row; if asked for, one with a quote that is never closed."""
    headlines = ["One Star", "Two Stars", "Three Stars", "Four Stars", "Five Stars", '"Not what I']
    return pa.array(headlines).take(pa.array(np.where(stray, 5, stars - 1)))


def _malformed_lines(count: int) -> Iterator[bytes]:
    """Lines with too few columns or too many."""
    for number in range(count):
        fields = ["US", str(number)] if number % 2 == 0 else ["US", *map(str, range(16))]
        yield "\t".join(fields).encode() + b"\n"
