"""What the view answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from labelstream.events.annotation import Annotation, Asked, HeldEdit, ImageRef
from labelstream.values import Position, Split


@dataclass(frozen=True)
class Status:
    """An annotation without its content, as it stood at an offset of `annotation-events`."""

    name: str
    revision: int  # from 1
    offset: int  # of the event that brought this state
    validated: bool
    deleted: bool


@dataclass(frozen=True)
class Entry(Status):
    """One annotation as it stood at an offset of `annotation-events`."""

    annotation: Annotation


class Home(NamedTuple):
    """A medium that an annotation's image belongs to: the one that the image was first recorded with."""

    name: str
    medium: str
    split: Split | None  # that the producer published for the medium
    order: int  # rises with the order in which contents were recorded


@dataclass(frozen=True)
class HeldMessage:
    """A message that waits for its annotation to be recorded."""

    name: str
    asked: Asked  # "created": the annotation began with an edit, and its creation is still to come
    offset: int  # of its receipt
    input: Position  # of the message
    validated: bool  # what it makes of the annotation
    edit: HeldEdit | None


@dataclass(frozen=True)
class ToErase:
    """What an erasure concerns."""

    names: tuple[str, ...]
    images: tuple[ImageRef, ...]  # that nobody else shows
    kept: tuple[ImageRef, ...]  # that another annotation shows as well
    remaining: int  # names that there was no room for
