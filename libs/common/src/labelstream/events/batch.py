"""Events of `batch-events`: archives of augmented annotations."""

from __future__ import annotations

from typing import ClassVar

import msgpack
from pydantic import Field, ValidationError

from labelstream.errors import Rejected
from labelstream.events.base import BATCH_EVENTS, Event
from labelstream.values import FileRef, Sha256, Value


class Range(Value):
    """A closed range of offsets of one stream."""

    stream: str
    first: int
    last: int


class Variant(Value):
    """One augmented image with its labels inside an archive."""

    variant: int = Field(description="0 is the original, byte for byte")
    image_path: str = Field(description="member of the archive; its labels lie beside it as .txt")
    sha256: Sha256 = Field(description="of the image as stored")
    boxes: int


class Member(Value):
    """The variants of one annotation's content, named by what they were made from."""

    name: str
    image: Sha256 = Field(description="digest of the original image")
    labels: Sha256 = Field(description="digest of the original labels")
    offset: int = Field(0, description="of the event that validated the content")
    archive: int = Field(
        0, description="which archive of the event holds it: 0 is `archive`, n is `more_archives[n-1]`"
    )
    variants: tuple[Variant, ...]
    phash: str | None = Field(
        None, description="perceptual hash of the original, 16 hexadecimal digits: near duplicates differ in few bits"
    )


class LeftOut(Value):
    """An annotation that could not be augmented."""

    name: str
    image: Sha256
    labels: Sha256
    offset: int = Field(0, description="of the event that validated the content")
    reason: str


class Rewritten(Value):
    """An archive that held erased images and is gone; what else was in it lies elsewhere, under the same paths."""

    archive: str = Field(description="key of the archive that is gone")
    by: FileRef | None = Field(None, description="the archive that took its place; null when nothing survives")


class Stayed(Value):
    """An image that lost an annotation and that another one shows still."""

    image: Sha256
    labels: tuple[Sha256, ...] = Field(description="digests of the labels that are said of it still: no other stays")


class BatchLists(Value):
    """The lists of a batch event, which may become too long for a message."""

    more_archives: tuple[FileRef, ...] = Field((), description="when one event validated more than an archive holds")
    members: tuple[Member, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    erased_images: tuple[Sha256, ...] = Field(
        (), description="images that the last event of the range erased: no archive shows them any more"
    )
    stayed: tuple[Stayed, ...] = Field(
        (), description="images whose labels the last event of the range erased in part: no archive has these labels"
    )
    rewritten: tuple[Rewritten, ...] = Field((), description="archives of the project that held what was erased")


class BatchAugmented(BatchLists, Event):
    """An archive holds the variants of every annotation validated in a range of `annotation-events`."""

    type: ClassVar[str] = "batch.augmented"
    stream: ClassVar[str] = BATCH_EVENTS

    input: Range = Field(description="every event of the project in this range is answered by this one")
    recipe: Sha256 = Field(description="digest of the augmentation recipe and its library versions")
    archive: FileRef | None = Field(None, description="null when nothing in the range was validated anew")
    lists: FileRef | None = Field(
        None, description="a MessagePack object that holds all lists of the event, when they are too long for a message"
    )

    def packed_lists(self) -> bytes:
        """Return the lists as MessagePack."""
        lists = self.model_dump(mode="python", include=set(BatchLists.model_fields), exclude_none=True)
        return bytes(msgpack.packb(lists))

    def without_lists(self, lists: FileRef) -> BatchAugmented:
        """Return the event as it travels when its lists lie in an object of the store."""
        return self.model_copy(update={**dict(BatchLists()), "lists": lists})

    def with_lists(self, packed: bytes) -> BatchAugmented:
        """Return the whole event. Raises Rejected when these are not the lists of a batch."""
        try:
            lists = BatchLists.model_validate(msgpack.unpackb(packed))
        except (ValidationError, ValueError, msgpack.UnpackException) as error:
            raise Rejected("batch.lists_malformed", f"{error}", "Restore the object that the event names.") from error
        return self.model_copy(update={**dict(lists), "lists": None})
