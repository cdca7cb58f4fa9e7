"""The origin of the evaluated model: data, filtering and all settings."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from components.artifacts.model import model_names
from components.evaluate.inputs import Inputs
from components.evaluate.settings import EvaluateSettings
from components.images import VERSION

_DIGEST_SHOWN = 12


@dataclass(frozen=True)
class Stage:
    """A line of the funnel: how much is left at a stage, or how much was removed before it.

    Attributes:
        name: in words.
        counts: numbers of ratings, customers and products as text; empty if they are not counted.
        kept: whether the counts are of what is left.
    """

    name: str
    counts: tuple[str, str, str]
    kept: bool = False


def head(inputs: Inputs, run: str) -> dict[str, str]:
    """Data set, version, dates, run (if it has a name) and model, by name."""
    details, after = inputs.ratings.details, inputs.statistics["after"]
    sources = details["sources"]
    size = sum(source["bytes"] for source in sources) / 1e6
    objects = f"{len(sources)} {'object' if len(sources) == 1 else 'objects'}"
    named = "".join(
        f"{model} for {objective}, " for objective, model in model_names(inputs.description).items()
    )
    facts = {
        "Data": f"{details['source']} ({objects}, {size:,.1f} MB)",
        "Version": details["source_version"],
        "Ratings": f"{after['first_day']} to {after['last_day']}, by the {details['resolution']}",
        "Run": run,
        "Model": f"{named}{inputs.model_manifest.digest[:_DIGEST_SHOWN]}",
    }
    return {name: fact for name, fact in facts.items() if fact}


def funnel(inputs: Inputs) -> Iterator[Stage]:
    """The stages from rows read to the ratings of each split."""
    details, statistics = inputs.ratings.details, inputs.statistics
    left_out = {f"no rating: {reason}": count for reason, count in details["rejects"].items()}
    left_out["outside the window"] = details["outside_window"]
    yield Stage("Rows read", (f"{details['rows'] + sum(left_out.values()):,}", "", ""), kept=True)
    for name, rows in left_out.items():
        if rows:
            yield Stage(name, (_minus(rows), "", ""))
    yield _stage("Ratings read", statistics["before"])
    for rule, rounds in groupby(sorted(statistics["removed"], key=_by_rule), itemgetter("rule")):
        yield _removed(rule, list(rounds), inputs.splits.manifest.details["settings"])
    yield _stage("Ratings kept", statistics["after"])
    for name, rows in statistics["rows"].items():
        yield Stage(f"to {'validate' if name == 'validation' else name}", (f"{rows:,}", "", ""))


def settings_by_step(inputs: Inputs, settings: EvaluateSettings) -> dict[str, dict[str, str]]:
    """Every setting of every step as text, by step and name."""
    description = inputs.description
    learned: dict[str, Any] = {
        name: description[name]
        for name in ("rating", "ranking", "device", "versions")
        if name in description
    }
    values: dict[str, Mapping[str, Any]] = {
        "ingest": inputs.ratings.details["settings"],
        "prepare": inputs.splits.manifest.details["settings"],
        "train": description.get("settings", {}),
        "train: what was chosen": learned,
        "evaluate": settings.model_dump(mode="json", include=set(EvaluateSettings.model_fields)),
        "versions and digests": {
            "alsolike": VERSION,
            **{name: manifest.digest for name, manifest in inputs.made_from.items()},
        },
    }
    return {
        step: {name: _text(value) for name, value in own.items()} for step, own in values.items()
    }


def _by_rule(removal: Mapping[str, Any]) -> int:
    return ("deduplicate", "min_customer_ratings", "min_product_ratings").index(removal["rule"])


def _removed(rule: str, rounds: list[dict[str, Any]], settings: Mapping[str, Any]) -> Stage:
    """What a rule removed in all rounds."""
    customer, product = settings["min_customer_ratings"], settings["min_product_ratings"]
    names = {
        "deduplicate": "the same customer and product again",
        "min_customer_ratings": f"customers of fewer than {customer} ratings",
        "min_product_ratings": f"products of fewer than {product} ratings",
    }
    several = f", in {len(rounds)} rounds" if len(rounds) > 1 else ""
    rows, customers, products = (
        _minus(sum(one[what] for one in rounds)) for what in ("rows", "customers", "products")
    )
    return Stage(f"{names[rule]}{several}", (rows, customers, products))


def _stage(name: str, part: Mapping[str, Any]) -> Stage:
    counts = part["rows"], part["customers"]["count"], part["products"]["count"]
    rows, customers, products = (f"{count:,}" for count in counts)
    return Stage(name, (rows, customers, products), kept=True)


def _minus(count: int) -> str:
    return f"−{count:,}" if count else "0"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
