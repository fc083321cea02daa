"""Whether the archives that a dataset needs are there."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from labelstream import keys
from labelstream_cli.datasets.place import Place
from labelstream_cli.datasets.words import count
from labelstream_cli.running import CommandFailed
from labelstream_datasets.archives.originals import ORIGINALS
from labelstream_datasets.manifest import Manifest


async def require_archives(place: Place, manifest: Manifest, *, packed: bool) -> None:
    """Raise CommandFailed when archives are gone; Unavailable. `packed`: those of unvalidated originals are stored."""
    needed = _needed(manifest, packed=packed)
    there = {info.key async for info in place.blobs.list(keys.archives(place.project))}
    gone = sorted(key for key in needed if key not in there and keys.forwarding(key) not in there)
    if not gone:
        return
    collected = sum(keys.collected(key) in there for key in gone)
    by_gc = f", {collected} of them removed by `labelstream gc`" if collected else ""
    raise CommandFailed(
        f"{count(len(gone), 'archive')} of the {len(needed)} that it needs are gone from the store{by_gc}, such as "
        f"{gone[0]}. `--recipe newest` takes those of today; what older recipes made stays only for datasets that "
        "are kept"
    )


def _needed(manifest: Manifest, *, packed: bool) -> set[str]:
    table = manifest.table
    if not packed:
        table = table.filter(pc.not_equal(table["recipe"].cast(pa.string()), ORIGINALS))
    return set(table["archive"].unique().cast(pa.string()).to_pylist())
