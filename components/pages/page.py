"""Pages that are one file: rendered from a template, with no need of a network."""

import os
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render_page(package: str, template: str, **content: Any) -> str:
    """HTML from a template that extends `base.html.jinja`; all content is escaped.

    Args:
        package: where the template is.
        template: its file name.
        content: what the template asks for.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("components.pages", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(content)


def write_page(file: Path, html: str) -> None:
    """Write a page under a temporary name first, so that it is never seen in part."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    partial.write_text(html, encoding="utf-8")
    partial.replace(file)
