"""Brings an image into the data bucket, once, under its digest: from the message itself or from the incoming bucket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from annotation_ingest.images.imaging import ACCEPTED
from annotation_ingest.ports import ImageDecoder
from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs, BlobTooLarge
from labelstream.errors import Misconfigured, Rejected
from labelstream.events.annotation import ImageRef, Note
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import sha256_hex
from labelstream.wire.submission import ImageReference

STORE = "object store"
INCOMING = "incoming bucket"


@dataclass(frozen=True)
class Stored:
    """An image that lies in the data bucket."""

    image: ImageRef
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Pictures:
    """Checks and stores the images of one input stream."""

    project: str
    decoder: ImageDecoder
    blobs: Blobs
    incoming: Blobs
    prefix: str  # of the keys in the incoming bucket that the stream's messages may refer to
    max_bytes: int  # of an image file
    health: Health

    async def store(
        self,
        image: bytes | ImageReference,
        check_room: Callable[[str, int], None],
        is_recorded: Callable[[str], bool],
    ) -> Stored:
        """Store an image; waits while the store is away. Raises Rejected.

        `check_room(digest, size in bytes)` raises Rejected when it is not to be stored; `is_recorded(digest)` says
        whether a receipt names it already.
        """
        data = image if isinstance(image, bytes) else await self._fetched(image)
        self._check_size(len(data))
        picture = await self.decoder.decode(data)
        digest = sha256_hex(data)
        check_room(digest, len(data))
        key = keys.image(self.project, digest, picture.extension)
        await self._keep(key, data, recorded=is_recorded(digest))
        found = ImageRef(
            key=key,
            sha256=digest,
            size_bytes=len(data),
            format=picture.format,
            width=picture.width,
            height=picture.height,
        )
        return Stored(found, picture.notes)

    async def _keep(self, key: str, data: bytes, *, recorded: bool) -> None:
        """Write the object, unless it is there and a receipt names it.

        One that lies there although no receipt names it was left by a message that was refused, or by a process that
        died: `labelstream gc` may be about to remove it as too old. Written again, it is young.
        """
        etag = await patiently(self.health, STORE, lambda: self.blobs.create(key, data))
        if etag is None and not recorded:
            await patiently(self.health, STORE, lambda: self.blobs.put(key, data))

    async def _fetched(self, reference: ImageReference) -> bytes:
        """Copy the file, and hash the copy: what its owner does to the file meanwhile changes nothing."""
        if not reference.key.startswith(self.prefix) or not {"", ".", ".."}.isdisjoint(reference.key.split("/")):
            raise Rejected(
                "image.foreign_key",
                "the image's key is not one of this input stream's",
                f"Put the file under a key that begins with {self.prefix!r}, and has no part that is empty, . or ...",
            )
        try:
            blob = await patiently(self.health, STORE, lambda: self.incoming.get(reference.key, self.max_bytes))
        except BlobNotFound as error:
            raise _absent() from error
        except Misconfigured as error:  # so do some stores answer for what is not there; no message may end us
            self.health.degraded(INCOMING, str(error))
            raise _absent() from error
        except BlobTooLarge as error:
            self._check_size(error.size_bytes)
            raise
        self.health.degraded(INCOMING, None)
        digest = sha256_hex(blob.data)
        if digest != reference.sha256:
            raise Rejected(
                "image.changed",
                f"the file has the SHA-256 {digest}, and not {reference.sha256} as the message says",
                "Give every file a key of its own, and never write over one that was referred to.",
            )
        return blob.data

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self.max_bytes:
            raise Rejected(
                "image.bytes",
                f"the image has {size_bytes} bytes, {self.max_bytes} are allowed",
                f"Send it as a smaller {ACCEPTED} file: compressed, scaled down, or cut into tiles.",
            )


def _absent() -> Rejected:
    return Rejected(
        "image.absent",
        "there is no file under the image's key in the incoming bucket",
        "Put the file there before the message is sent. This message is parked: it can be replayed then.",
    )
