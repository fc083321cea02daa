"""Images by reference: the file goes into the incoming bucket, and the message names it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.service.settings import StoreSettings
from labelstream.values import sha256_hex
from labelstream.wire.submission import ImageReference

# How files of each format begin; for a reader of the bucket, since ingest looks at the bytes alone.
_BEGINNINGS = {
    b"\xff\xd8\xff": "jpg",
    b"\x89PNG": "png",
    b"RIFF": "webp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"BM": "bmp",
}


class Incoming(Protocol):
    """What a producer may do in the incoming bucket."""

    async def create(self, key: str, data: bytes) -> str | None:
        """Write an object unless the key is taken. Raises Unavailable."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True)
class ByReference:
    """Puts images under `<prefix><sha256>.<ext>`; the same image again costs no space."""

    bucket: Incoming
    prefix: str  # the one that annotation-ingest expects of the input stream: its name and a slash
    health: Health
    inline: bool = False  # whether images travel inside their messages where they fit

    @classmethod
    def to(cls, settings: StoreSettings, prefix: str, health: Health, *, inline: bool = False) -> ByReference:
        """Put images into the incoming bucket of a store."""
        # Who sends no references need not load boto3.
        from labelstream.blobs.s3 import S3Blobs  # noqa: PLC0415

        return cls(S3Blobs(settings, settings.incoming_bucket, health), prefix, health, inline)

    async def put(self, image: bytes) -> ImageReference:
        """Store an image, waiting for a store that is away, and return what a message says of it."""
        sha256 = await asyncio.to_thread(sha256_hex, image)
        extension = next((ext for begin, ext in _BEGINNINGS.items() if image.startswith(begin)), "bin")
        key = f"{self.prefix}{sha256}.{extension}"
        await patiently(self.health, "object store", lambda: self.bucket.create(key, image))
        return ImageReference(key, sha256)


async def read_image(image: bytes | Path | None) -> bytes | None:
    """Return the bytes of an image; those of a file are read in a thread."""
    return await asyncio.to_thread(image.read_bytes) if isinstance(image, Path) else image
