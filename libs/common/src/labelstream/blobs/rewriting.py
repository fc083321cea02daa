"""Files that an event describes and that were rewritten since, in place: a note beside each says what it became."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from pydantic import Field, ValidationError

from labelstream import keys
from labelstream.blobs.checked import read_checked
from labelstream.blobs.ports import BlobChanged, BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.values import FileRef, Value


class Became(Value):
    """What a file was, one after the other, since the event that describes it; lies at `keys.forwarding`."""

    by: tuple[FileRef, ...] = Field((), description="the newest last")


async def rewrite(blobs: Blobs, key: str, change: Callable[[bytes], bytes]) -> bool:
    """Put in an object's place what `change` makes of it; return whether that is another.

    The note is written first, so that readers know the file at every moment. Doing it again after a crash comes to
    the same when `change` does. Raises BlobNotFound, Unavailable, and what `change` raises.
    """
    while True:
        found = await blobs.get(key)
        data = await asyncio.to_thread(change, found.data)
        if data == found.data:
            return False
        await _note(blobs, await asyncio.to_thread(FileRef.of, key, data))
        with suppress(BlobChanged):  # somebody else wrote: look again
            await blobs.replace(key, data, found.etag)
            return True


async def read_rewritten(blobs: Blobs, file: FileRef) -> bytes:
    """Return the bytes that `file` describes, or that took their place by `rewrite`.

    Raises Rejected when they are gone or others, Unavailable.
    """
    try:
        return await read_checked(blobs, file)
    except Rejected:
        for later in reversed((await _read(blobs, file.key))[0].by):
            with suppress(Rejected):
                return await read_checked(blobs, later)
        raise


async def _note(blobs: Blobs, file: FileRef) -> None:
    key = keys.forwarding(file.key)
    while True:
        note, etag = await _read(blobs, file.key)
        if file in note.by:
            return
        data = Became(by=(*note.by, file)).model_dump_json().encode()
        if etag is None:
            if await blobs.create(key, data) is not None:
                return
        else:
            with suppress(BlobChanged):
                await blobs.replace(key, data, etag)
                return


async def _read(blobs: Blobs, key: str) -> tuple[Became, str | None]:
    """Return the note about a file, an empty one when there is none that can be read, and its ETag."""
    try:
        found = await blobs.get(keys.forwarding(key))
    except BlobNotFound:
        return Became(), None
    try:
        return Became.model_validate_json(found.data), found.etag
    except ValidationError:  # damaged: readers say that the file changed, a writer begins the note anew
        return Became(), found.etag
