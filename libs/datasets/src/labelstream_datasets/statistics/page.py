"""A dataset's statistics as one HTML page that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from labelstream.values import SPLITS
from labelstream_datasets.checking.duplicates import NearPair
from labelstream_datasets.pages import render
from labelstream_datasets.statistics import plots
from labelstream_datasets.statistics.model import Statistics
from labelstream_datasets.statistics.sheet import Sheet

MOST_PICTURED, MOST_LISTED = 12, 30  # pairs
_NO_PICTURES: Mapping[str, bytes] = MappingProxyType({})


def page(
    statistics: Statistics,
    sheet: Sheet | None = None,
    thumbs: Mapping[str, bytes] = _NO_PICTURES,
    name: str | None = None,
) -> str:
    """Return the page; `sheet` and `thumbs` (image → JPEG, for pairs that look alike) are embedded in it.

    `name`: the one that the dataset is kept under.
    """
    pictured = [pair for pair in statistics.duplicates.pairs if _seen(pair, thumbs)][:MOST_PICTURED]
    return render(
        "labelstream_datasets.statistics",
        "page.html",
        it=statistics,
        name=name,
        splits=SPLITS,
        total={what: statistics.total(what) for what in ("images", "samples", "boxes", "without_boxes", "media")},
        shown=[one for one in statistics.classes if one.images],
        most_boxes=max((one.boxes for one in statistics.classes), default=0) or 1,
        plots=plots.of(statistics),
        sheet=sheet,
        thumbs=thumbs,
        pictured=pictured,
        listed=_others(statistics.duplicates.pairs, pictured),
    )


def _seen(pair: NearPair, thumbs: Mapping[str, bytes]) -> bool:
    return pair.first.image in thumbs and pair.second.image in thumbs


def _others(pairs: Sequence[NearPair], pictured: Sequence[NearPair]) -> list[NearPair]:
    return [pair for pair in pairs if pair not in pictured][:MOST_LISTED]
