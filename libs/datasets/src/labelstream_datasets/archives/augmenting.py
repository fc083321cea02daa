"""The note that the augmenter leaves when it starts: `keys.augmenting(project)`."""

from __future__ import annotations

from labelstream.values import Sha256, Value


class Augmenting(Value):
    """What the augmenter works with, before its next batch says so: `labelstream gc` leaves its archives alone."""

    recipe: Sha256
