"""An archive that was found rather than made may be older than what `labelstream gc` leaves alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from labelstream.blobs.ports import BlobChanged, BlobNotFound, Blobs

FRESH: Final = timedelta(minutes=10)  # what is younger is new to everybody


async def keep(blobs: Blobs, archive: str) -> bool:
    """Say whether there is an archive with this key; an old one is written again, so that it counts as new.

    To be asked before something begins to refer to an archive that nothing may refer to yet. What is erased or
    collected meanwhile does not come back. Raises Unavailable.
    """
    while True:
        info = await blobs.head(archive)
        if info is None:
            return False
        if info.store_time - info.modified < FRESH:
            return True
        try:
            found = await blobs.get(archive)
            await blobs.replace(archive, found.data, found.etag)
        except (BlobNotFound, BlobChanged):
            continue  # what is there now?
        return True
