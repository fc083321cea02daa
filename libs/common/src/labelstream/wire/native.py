"""The native form: CloudEvents type in the properties, a MessagePack map with string keys as the body.

    annotation.submitted   {"name": "frame-1", "image": bytes, "boxes": [{"class": "car", "x": …, "y": …, "w": …, "h": …}]}
    annotation.edited      the same; without an image the annotation keeps the one that it has
    annotation.validated   {"names": ["frame-1", …]}
    annotation.deleted     {"names": ["frame-1", …]}

Boxes are centre and size, as fractions of the image's width and height.
"""  # noqa: E501 - a form reads better in one line

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

import msgpack
from pydantic import BaseModel, ConfigDict, Field, StrictBytes, StrictInt, StrictStr, ValidationError

from labelstream.errors import Rejected
from labelstream.streams.message import Message
from labelstream.values import Split
from labelstream.wire.packed import unpack
from labelstream.wire.submission import Kind, RawBox, Submission, message_key, shown

KINDS: dict[str, Kind] = {
    "annotation.submitted": "created",
    "annotation.edited": "edited",
    "annotation.validated": "validated",
    "annotation.deleted": "deleted",
}
TYPES: dict[Kind, str] = {kind: name for name, kind in KINDS.items()}

MAX_NAMES = 5_000  # in one bulk message, so that its receipt stays small
MAX_BOXES = 10_000

B = TypeVar("B", bound=BaseModel)
Name = Annotated[StrictStr, Field(min_length=1, max_length=512)]


class Body(BaseModel):
    """A native body; unknown fields are ignored, because fields are only ever added."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    producer: StrictStr | None = Field(None, description="who made it; only a keyed hash is kept")


class NativeBox(BaseModel):
    """A box: centre and size as fractions of the image's width and height."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    cls: StrictInt | StrictStr = Field(alias="class", description="a class id or a class name of the project's schema")
    x: float
    y: float
    w: float
    h: float
    confidence: float | None = None


class NativeAnnotation(Body):
    """The body of annotation.submitted and annotation.edited."""

    name: Name = Field(description="the annotation's identity in its project")
    image: StrictBytes | None = Field(None, description="the image file, as it is")
    medium: Name | None = Field(None, description="the photo or video that the image came from; default: the name")
    split: Split | None = Field(None, description="the split that was published for the medium, if any")
    boxes: list[NativeBox] = Field(default_factory=list, max_length=MAX_BOXES)
    validated: bool = True
    source: Literal["manual", "ai"] = "manual"


class NativeBulk(Body):
    """The body of annotation.validated and annotation.deleted."""

    names: list[Name] = Field(min_length=1, max_length=MAX_NAMES)


def read(message: Message, kind: Kind) -> Submission:
    """Read a native message of a known kind. Raises Rejected."""
    body = unpack(message.body)
    if not isinstance(body, dict):
        raise Rejected("message.malformed", f"the body is {shown(body)}, not a map", "Send a map with string keys.")
    base = Submission(
        kind=kind,
        wire="native",
        names=(),
        message_key=message_key("native", kind, message),
        message_id=message.message_id,
        anonymous=message.message_id is None and message.created_ms is None,
    )
    if kind in {"validated", "deleted"}:
        bulk = _validated(NativeBulk, body)
        return replace(base, names=tuple(bulk.names), producer=bulk.producer)
    if body.get("name") in (None, ""):
        raise Rejected("name.missing", "the annotation has no name", 'Send a unique "name" with every annotation.')
    one = _validated(NativeAnnotation, body)
    return replace(
        base,
        names=(one.name,),
        image=one.image or None,
        medium=one.medium,
        split=one.split,
        boxes=tuple(RawBox(**box.model_dump()) for box in one.boxes),
        validated=one.validated,
        source=one.source,
        producer=one.producer,
    )


def write(
    name: str,
    image: bytes | None,
    boxes: Iterable[dict[str, Any]],
    *,
    kind: Kind = "created",
    message_id: str | None = None,
    **fields: Any,
) -> Message:
    """Write annotation.submitted (or .edited); `fields` are those of `NativeAnnotation`."""
    body: dict[str, Any] = {"name": name, "image": image, "boxes": list(boxes), **fields}
    return _message(TYPES[kind], {key: value for key, value in body.items() if value is not None}, message_id)


def write_bulk(kind: Kind, names: Sequence[str], *, message_id: str | None = None) -> Message:
    """Write annotation.validated or annotation.deleted for `names`."""
    return _message(TYPES[kind], {"names": list(names)}, message_id)


def _message(type_name: str, body: dict[str, Any], message_id: str | None) -> Message:
    return Message(
        body=bytes(msgpack.packb(body)),
        message_id=message_id,
        subject=type_name,
        content_type="application/msgpack",
        properties={
            "cloudEvents_specversion": "1.0",
            "cloudEvents_type": type_name,
            "cloudEvents_datacontenttype": "application/msgpack",
            **({"cloudEvents_id": message_id} if message_id else {}),
        },
    )


def _validated(model: type[B], body: dict[Any, Any]) -> B:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        value = "not shown" if "producer" in first["loc"] else shown(first["input"])
        raise Rejected(
            "message.malformed",
            f"{where}: {first['msg']} (got {value})",
            f"Send the fields of {model.__name__} as docs/events.md describes them.",
        ) from error
