"""Render and write pages that are a single file and need no network."""

import os
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render_page(package: str, template: str, **content: Any) -> str:
    """Render a template that extends `base.html.jinja` to HTML; all content is escaped.

    Args:
        package: the package with the template.
        template: its file name.
        content: the variables of the template.
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
    """Write a page under a temporary name first, so that readers never see a part of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    partial.write_text(html, encoding="utf-8")
    partial.replace(file)
