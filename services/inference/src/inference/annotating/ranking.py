"""Which images teach most when a person validates them.

A box whose confidence is near one half is one that the model can't decide about. Its uncertainty is (1 − margin)²,
where the margin is the distance between the two answers that it has, "such an object" (p) and "none" (1 − p): |2p − 1|.
An image's score is the sum over its boxes, those included that are too unsure to be published.

The measure (1-vs-2 margin) and the sum are those of Brust, Käding and Denzler, "Active learning for deep object
detection" (VISAPP 2019), who compared sum, average and maximum: the sum found the images that helped most, since one
with many unsure boxes settles many questions. The square keeps the many boxes near 0 from adding up to something.

Where nothing was found the measure says nothing: the model may be right, or blind. One place in ten goes to such an
image, in an order that does not depend on their names; the rest of them come last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from inference.annotating.seeing import Seen
from labelstream.annotating import Order

FLOOR = 0.05  # boxes below are noise: each would add less than a hundredth of one that is undecided
EACH = 10  # one place in so many goes to an image in which nothing was found


def floor(order: Order, confidence: float) -> float:
    """Return from which confidence on boxes are looked at, where they are published from `confidence` on."""
    return min(FLOOR, confidence) if order == "uncertain" else confidence


def score(confidences: Iterable[float]) -> float:
    """Return how undecided a model is about an image."""
    return sum((1 - abs(2 * sure - 1)) ** 2 for sure in confidences)


def score_of(seen: Seen) -> float:
    """Return the score of an image."""
    return score(box.confidence for box in seen.boxes)


def unsure(seen: Seen) -> float:
    """Return the confidence nearest to one half; 0 when nothing was found."""
    return min((box.confidence for box in seen.boxes), key=lambda sure: abs(sure - 0.5), default=0.0)


def ranked(images: Iterable[Seen]) -> list[Seen]:
    """Return images in the order in which people should look at them."""
    several = sorted(images, key=lambda one: (-score_of(one), one.sha256))
    found = [one for one in several if one.boxes]
    return _mixed(found, [one for one in several if not one.boxes])


def _mixed(found: Sequence[Seen], empty: Sequence[Seen]) -> list[Seen]:
    order: list[Seen] = []
    rest = iter(empty)
    for place, one in enumerate(found, 1):
        order.append(one)
        if place % (EACH - 1) == 0:
            order += [blind for blind in [next(rest, None)] if blind is not None]
    return [*order, *rest]
