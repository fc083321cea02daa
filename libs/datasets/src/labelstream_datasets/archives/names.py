"""How the files of an image with its labels are called in archives, and so in datasets that are laid out."""

from __future__ import annotations

import re
from typing import NamedTuple

_IMAGE, _LABELS = 16, 8  # digits of a digest
_FORM = re.compile(rf"(?:[0-9a-f]{{64}}_)?([0-9a-f]{{{_IMAGE}}})-([0-9a-f]{{{_LABELS}}})_\d+\.\w+")


class Digits(NamedTuple):
    """The first digits of what a file shows and says, as its name has them."""

    image: str
    labels: str

    @classmethod
    def of(cls, image: str, labels: str) -> Digits:
        """Return the digits that name the content with these digests."""
        return cls(image[:_IMAGE], labels[:_LABELS])


def stem_of(image: str, labels: str) -> str:
    """Return how the files of an image with its labels are called in an archive, before the variant's number."""
    return "-".join(Digits.of(image, labels))


def digits_in(name: str) -> Digits | None:
    """Return what a file of an archive, or of a dataset that is laid out, is called after; None: it is none of ours."""
    found = _FORM.fullmatch(name)
    return Digits(*found.groups()) if found else None
