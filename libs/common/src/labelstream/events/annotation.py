"""Events of `annotation-events`: the receipts of annotation messages."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from labelstream.classes import ClassSchema
from labelstream.events.base import ANNOTATION_EVENTS, Event
from labelstream.labels import Shape
from labelstream.values import FileRef, Position, Sha256, Split, Value

Asked = Literal["created", "edited", "validated", "deleted", "schema_changed", "erased"]
SettledAs = Literal["edited", "validated", "deleted", "superseded", "expired"]

OutcomeKind = Literal[
    "recorded",
    "edited",
    "validated",
    "unvalidated",
    "deleted",
    "duplicated",
    "held",
    "superseded",
    "rejected",
]


class ImageRef(FileRef):
    """A stored image; its key and digest never change."""

    format: str = Field(description="jpeg, png, webp, tiff or bmp")
    width: int = Field(description="pixels, after the EXIF orientation is applied")
    height: int = Field(description="pixels, after the EXIF orientation is applied")


class Annotation(Value):
    """What is known of one annotation: the image, its medium and the shapes on it."""

    image: ImageRef
    medium: str = Field(description="the photo or video that the image came from; splits follow it")
    split: Split | None = Field(None, description="the split that the producer published for the medium, if any")
    shapes: tuple[Shape, ...] = ()
    labels: str = Field(description="digest of the shapes")
    source: Literal["manual", "ai"] = "manual"
    tags: tuple[str, ...] = Field((), description="the producer's own words, each once, sorted")
    schema_digest: str = Field(description="digest of the class schema that the ids refer to")


class HeldEdit(Value):
    """What an edit without an image brought, while its annotation is not there yet."""

    shapes: tuple[Shape, ...] = ()
    source: Literal["manual", "ai"] = "manual"
    tags: tuple[str, ...] = ()
    schema_digest: str = Field(description="digest of the class schema that the ids refer to")


class Settlement(Value):
    """What became of a message that was held, once its annotation came or its time was up."""

    name: str = Field(description="the annotation")
    input: Position = Field(description="the message that was held")
    asked: Asked = Field(description="edited, validated or deleted")
    outcome: SettledAs


class Note(Value):
    """Something about an accepted annotation that its producer may want to know."""

    rule: str = Field(description="stable id of the rule")
    reason: str = Field(description="what was found, with the value")


class Rejection(Value):
    """Why a message, or one name in it, was refused."""

    rule: str = Field(description="stable id of the rule that was broken")
    reason: str = Field(description="what was wrong, with the value")
    hint: str = Field(description="what the producer can do")
    parked: Position | None = Field(None, description="where the message's bytes are kept")


class Outcome(Value):
    """What became of one annotation name in a message."""

    name: str | None = Field(None, description="the annotation's name; null when the message did not say one")
    outcome: OutcomeKind
    revision: int | None = Field(None, description="the annotation's revision after this message, from 1")
    validated: bool | None = Field(None, description="whether the annotation is validated after this message")
    annotation: Annotation | None = Field(None, description="the content, where this message brought it")
    repeats: Position | None = Field(None, description="of a duplicate: the message that it repeats")
    rejection: Rejection | None = None
    edit: HeldEdit | None = Field(None, description="of a held edit: what it brought")
    notes: tuple[Note, ...] = ()


class AnnotationSettled(Event):
    """The receipt of one annotation message, with the outcome of each name in it."""

    type: ClassVar[str] = "annotation.settled"
    stream: ClassVar[str] = ANNOTATION_EVENTS

    input: Position = Field(description="the message that is answered")
    message_id: str | None = Field(None, description="the id that the producer gave the message")
    message_key: str = Field(description="digest that two deliveries of one message share")
    producer: str | None = Field(None, description="keyed hash of who produced it; never a name or e-mail")
    wire: Literal["native", "azaion", "unknown"]
    asked: Asked | None = Field(None, description="what the message asked for; null when that could not be read")
    outcomes: tuple[Outcome, ...]
    settles: tuple[Settlement, ...] = Field((), description="earlier messages that were held until this one")
    replays: Position | None = Field(None, description="the refused message whose bytes this one brings again")
    class_schema: ClassSchema | None = Field(None, description="the project's class schema from this message on")


class AnnotationErased(Event):
    """The receipt of a request to erase annotations: their images are gone from the store, and so is all they said."""

    type: ClassVar[str] = "annotation.erased"
    stream: ClassVar[str] = ANNOTATION_EVENTS

    input: Position = Field(description="the message that is answered")
    message_id: str | None = Field(None, description="the id that the producer gave the message")
    message_key: str = Field(description="digest that two deliveries of one message share")
    producer: str | None = Field(None, description="keyed hash of who asked; never a name or e-mail")
    medium: str | None = Field(None, description="the medium, when a whole medium was to be erased")
    names: tuple[str, ...] = Field(description="the annotations that are no more")
    images: tuple[Sha256, ...] = Field((), description="digests of the images that were removed")
    kept_images: tuple[Sha256, ...] = Field((), description="images that another annotation still shows")
    remaining: int = Field(0, description="annotations that this event had no room for: ask again")
