"""Self-contained HTML pages of one look: a frame with its style, templates that fill it, figures for them.

A template extends `frame.html`, which brings the style, and fills its blocks `title`, `head` and `body`.
Everything that is not `Markup` is escaped: names of classes and media are foreign text.
"""

from __future__ import annotations

import base64
import functools

import jinja2
from markupsafe import Markup

from labelstream_datasets.pictures import colour_of

_HERE = "labelstream_datasets.pages"


def render(package: str, template: str, **values: object) -> str:
    """Fill a template out of the package's folder `templates`; return a page that needs nothing from outside."""
    return _environment(package).get_template(template).render(values)


def embedded(jpeg: bytes) -> Markup:
    """Return an image as the address of itself, for `src`."""
    return Markup("data:image/jpeg;base64,") + base64.b64encode(jpeg).decode()


def short(number: float) -> str:
    """Return a number as it reads fast: 950, 1.2k, 48k, 3.1M."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            scaled = number / limit
            return f"{scaled:.1f}{unit}" if scaled < 10 and round(scaled, 1) % 1 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}"


def percent(share: float) -> str:
    """Return a share as it reads fast: 12 %, 0.4 %, 0 %."""
    return (
        f"{share:.1%}".replace(".0%", "%").replace("%", " %") if 0 < share < 0.1 else f"{share:.0%}".replace("%", " %")
    )


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
    made.filters |= {"short": short, "percent": percent, "embedded": embedded, "css_colour": css_colour}
    return made
