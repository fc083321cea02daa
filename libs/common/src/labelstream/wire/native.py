"""The native form: the CloudEvents type in the properties, a MessagePack map with string keys as the body.

    annotation.submitted          {"name": "frame-1", "image": bytes, "boxes": [{"class": "car", "x": …, "y": …, "w": …, "h": …}]}
                                  or, in place of the image: "image_ref": {"key": "annotations/1.jpg", "sha256": "…"}
    annotation.edited             the same; without an image the annotation keeps the one that it has
    annotation.validated          {"names": ["frame-1", …]}
    annotation.deleted            {"names": ["frame-1", …]}
    class_schema.changed          {"name": "traffic", "version": 2, "classes": ["car", "lorry", …]}
    annotation.erasure_requested  {"names": ["frame-1", …]} or {"medium": "film.mp4"}

Boxes are centre and size, as fractions of the image's width and height. `docs/events.md` has every field.
"""  # noqa: E501 - a form reads better in one line

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgpack
from pydantic import BaseModel, ValidationError

from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.streams.message import Message
from labelstream.wire.bodies import (
    TYPES,
    NativeAnnotation,
    NativeBulk,
    NativeClassSchema,
    NativeErasure,
)
from labelstream.wire.checking import check_impersonal
from labelstream.wire.faults import malformed
from labelstream.wire.packed import unpack
from labelstream.wire.submission import ImageReference, Kind, RawBox, Submission, message_key, shown

B = TypeVar("B", bound=BaseModel)


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
    if kind == "schema_changed":
        return _schema(base, _validated(NativeClassSchema, body))
    if kind == "erased":
        asked = _validated(NativeErasure, body)
        return replace(base, names=tuple(asked.names or ()), medium=asked.medium, producer=asked.producer)
    if kind in {"validated", "deleted"}:
        bulk = _validated(NativeBulk, body)
        return replace(base, names=tuple(bulk.names), producer=bulk.producer)
    return _annotation(base, body)


def _annotation(base: Submission, body: dict[Any, Any]) -> Submission:
    name = body.get("name")
    if name is None or (isinstance(name, str) and not name.strip()):
        raise Rejected("name.missing", "the annotation has no name", 'Send a unique "name" with every annotation.')
    one = _validated(NativeAnnotation, body)
    there = one.image_ref
    return replace(
        base,
        names=(one.name,),
        image=ImageReference(there.key, there.sha256) if there else one.image or None,
        medium=one.medium,
        split=one.split,
        boxes=tuple(RawBox(b.cls, b.x, b.y, b.w, b.h, b.confidence) for b in one.boxes),
        validated=one.validated,
        source=one.source,
        tags=tuple(sorted(set(one.tags))),
        producer=one.producer,
    )


def _schema(base: Submission, said: NativeClassSchema) -> Submission:
    for name in (said.name, *said.classes):
        check_impersonal("the class schema", name)  # before a reason could repeat it
    try:
        schema = ClassSchema(name=said.name, version=said.version, classes=tuple(said.classes))
    except ValidationError as error:
        raise Rejected(
            "message.malformed",
            error.errors(include_url=False)[0]["msg"].removeprefix("Value error, "),
            "Send each class once, whatever its case.",
        ) from error
    return replace(base, class_schema=schema, producer=said.producer)


def write(
    name: str,
    image: bytes | ImageReference | None,
    boxes: Iterable[dict[str, Any]],
    *,
    kind: Kind = "created",
    message_id: str | None = None,
    tags: Sequence[str] = (),
    **fields: Any,
) -> Message:
    """Write annotation.submitted (or .edited); `fields` are the others of `NativeAnnotation`."""
    shows: dict[str, Any] = {"image": image}
    if isinstance(image, ImageReference):
        shows = {"image_ref": {"key": image.key, "sha256": image.sha256}}
    body = {"name": name, **shows, "boxes": list(boxes), "tags": list(tags) or None, **fields}
    return _message(TYPES[kind], body, message_id)


def write_bulk(kind: Kind, names: Sequence[str], *, message_id: str | None = None) -> Message:
    """Write annotation.validated or annotation.deleted for `names`."""
    return _message(TYPES[kind], {"names": list(names)}, message_id)


def write_class_schema(schema: ClassSchema, message_id: str | None = None) -> Message:
    """Write class_schema.changed: `schema` is the project's from this message on."""
    body = {"name": schema.name, "version": schema.version, "classes": list(schema.classes)}
    return _message(TYPES["schema_changed"], body, message_id)


def write_erasure(
    names: Sequence[str] | None = None, medium: str | None = None, message_id: str | None = None
) -> Message:
    """Write annotation.erasure_requested for `names`, or for all annotations of `medium`."""
    if (names is None) == (medium is None):
        raise ValueError("say either the names or the medium that is to be erased")
    body = {"names": None if names is None else list(names), "medium": medium}
    return _message(TYPES["erased"], body, message_id)


def _message(type_name: str, body: dict[str, Any], message_id: str | None) -> Message:
    return Message(
        body=bytes(msgpack.packb({key: value for key, value in body.items() if value is not None})),
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
        raise malformed(error.errors(include_url=False)[0]) from error
