"""Why a dataset can't be laid out whole, and what of it still can."""

from __future__ import annotations

from collections.abc import Sequence

from labelstream.values import Split
from labelstream_datasets.archives.forwarding import HINT, Erased
from labelstream_datasets.manifest import Manifest, Row

_MOST_NAMES = 5


def refusal(manifest: Manifest, splits: Sequence[Split], erased: Sequence[Row]) -> Erased:
    """Name the annotations that were erased, and the splits that do not hold them."""
    names = sorted({row.name for row in erased})
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    were = (
        "1 of the dataset's annotations was" if len(names) == 1 else f"{len(names):,} of the dataset's annotations were"
    )
    reason = f"{were} erased since it was built: {', '.join(names[:_MOST_NAMES])}{more}"
    hit = {row.split for row in erased}
    whole = [split for split in splits if split not in hit and len(manifest.only([split]))]
    still = f"What is left whole can be had: `--splits {','.join(whole)}`. " if whole else ""
    return Erased(reason, erased, still + HINT)
