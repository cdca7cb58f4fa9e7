"""The report: everything that was found, on one page that needs no network."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from components.artifacts.evaluation import Verdict
from components.evaluate.figures import Figures
from components.evaluate.inputs import Inputs
from components.evaluate.settings import EvaluateSettings


def render(inputs: Inputs, figures: Figures, verdict: Verdict, settings: EvaluateSettings) -> str:
    """The page as HTML; whatever comes from data is escaped."""
    environment = Environment(
        loader=PackageLoader("components.evaluate", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        verdict=verdict,
        settings=settings,
        description=inputs.description,
        tables={name: figures.table(name) for name in figures.systems},
    )
