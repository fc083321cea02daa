"""Self-contained HTML pages of one look: a frame with its style, templates that fill it, figures for them.

A template extends `frame.html`, which brings the style, and fills its blocks `title`, `head` and `body`.
Everything that is not `Markup` is escaped: names of classes and media are foreign text.
"""

from __future__ import annotations

import base64
import functools

import jinja2
from markupsafe import Markup

from labelstream_datasets.pages.words import FILTERS, percent, short
from labelstream_datasets.pictures import colour_of

__all__ = ["css_colour", "embedded", "percent", "render", "short"]

_HERE = "labelstream_datasets.pages"


def render(package: str, template: str, **values: object) -> str:
    """Fill a template out of the package's folder `templates`; return a page that needs nothing from outside."""
    return _environment(package).get_template(template).render(values)


def embedded(jpeg: bytes) -> Markup:
    """Return an image as the address of itself, for `src`."""
    return Markup("data:image/jpeg;base64,") + base64.b64encode(jpeg).decode()


def css_colour(class_id: int) -> str:
    """Return a class's colour, the one of its boxes in pictures."""
    return "rgb({} {} {})".format(*colour_of(class_id))


@functools.lru_cache(maxsize=8)
def _environment(package: str) -> jinja2.Environment:
    loaders = [jinja2.PackageLoader(package), jinja2.PackageLoader(_HERE)]
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS, embedded=embedded, css_colour=css_colour)
    return made
