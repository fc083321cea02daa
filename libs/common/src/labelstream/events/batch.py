"""Events of `batch-events`: archives of augmented annotations."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

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


class LeftOut(Value):
    """An annotation that could not be augmented."""

    name: str
    image: Sha256
    labels: Sha256
    offset: int = Field(0, description="of the event that validated the content")
    reason: str


class BatchAugmented(Event):
    """An archive holds the variants of every annotation validated in a range of `annotation-events`."""

    type: ClassVar[str] = "batch.augmented"
    stream: ClassVar[str] = BATCH_EVENTS

    input: Range = Field(description="every event of the project in this range is answered by this one")
    recipe: Sha256 = Field(description="digest of the augmentation recipe and its library versions")
    archive: FileRef | None = Field(None, description="null when nothing in the range was validated anew")
    more_archives: tuple[FileRef, ...] = Field((), description="when one event validated more than an archive holds")
    members: tuple[Member, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
