"""Markdown out of templates; what is filled in is foreign text, and stays text."""

from __future__ import annotations

import functools
import re

import jinja2
from markupsafe import Markup

from labelstream_datasets.pages.words import FILTERS

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MEANT = re.compile(r"[\\`*_\[\]{}|~#$!&<>]")


def render_markdown(package: str, template: str, **values: object) -> str:
    """Fill a template out of the package's folder `templates`; what is not `Markup` is escaped."""
    return _environment(package).get_template(template).render(values)


def escaped(value: object) -> object:
    """Return text without anything that Markdown or HTML would read as more than text, on one line."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _MEANT.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), " ".join(value.split()))


@functools.lru_cache(maxsize=8)
def _environment(package: str) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=False,  # noqa: S701  # HTML's escapes are not Markdown's: `finalize` does it
        finalize=escaped,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= FILTERS
    return made
