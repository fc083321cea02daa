"""Takes erased images out of reports and evaluations that are written; what those say in figures stays."""

from __future__ import annotations

import re
from collections.abc import Set
from html import unescape

from labelstream_yolo.scoring.values import Tested

# As templates/report/images.html writes a picture; texts in it are escaped, so that no other </figure> is inside.
_FIGURE = re.compile(rb'<figure data-image="([^"]*)">.*?</figure>', re.DOTALL)
_ERASED = b'<figure class="card soft small">The image that was shown here was erased.</figure>'


def page_without(page: bytes, gone: Set[str]) -> bytes:
    """Return a report without the pictures of the images `gone`, by their file names."""
    return _FIGURE.sub(lambda found: _ERASED if _name(found[1]) in gone else found[0], page)


def evaluation_without(evaluation: bytes, gone: Set[str]) -> bytes:
    """Return an `evaluation.json` that does not list the images `gone`. Raises ValueError when it is none."""
    tested = Tested.model_validate_json(evaluation)
    images = tuple(one for one in tested.images if one.image not in gone)
    if len(images) == len(tested.images):
        return evaluation
    return tested.model_copy(update={"images": images}).model_dump_json().encode()


def images_in_page(page: bytes) -> frozenset[str]:
    """Return the file names of the images that a report shows."""
    return frozenset(map(_name, _FIGURE.findall(page)))


def images_in_evaluation(evaluation: bytes) -> frozenset[str]:
    """Return the file names of the images that an `evaluation.json` lists. Raises ValueError when it is none."""
    return frozenset(one.image for one in Tested.model_validate_json(evaluation).images)


def _name(escaped: bytes) -> str:
    return unescape(escaped.decode(errors="replace"))
