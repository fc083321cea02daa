"""The Azaion wire: integer-keyed MessagePack, routed by the application property `AnnotationStatus`.

Its documents leave things open, so reading is tolerant: arrays and integer-keyed maps, any casing in
the detections' JSON, narrow messages, unknown trailing fields.
"""

from __future__ import annotations

from typing import Any, Literal

import msgpack
import orjson

from labelstream.errors import Rejected
from labelstream.streams.message import Message
from labelstream.wire.checking import too_large
from labelstream.wire.limits import MAX_BOXES
from labelstream.wire.packed import unpack
from labelstream.wire.submission import Kind, RawBox, Submission, message_key, shown

STATUS_PROPERTY = "AnnotationStatus"
STATUSES: dict[int, Kind] = {10: "created", 20: "edited", 30: "validated", 40: "deleted"}
OPERATOR, VALIDATOR, COMPANION_PC, ADMIN, API_ADMIN = 10, 20, 30, 40, 1000
VALIDATORS = {VALIDATOR, ADMIN, API_ADMIN}
AI, MANUAL = 0, 1
SOURCES: dict[int, Literal["manual", "ai"]] = {AI: "ai", MANUAL: "manual"}

DATE, NAME, MEDIUM, _TIME, _EXTENSION, DETECTIONS, IMAGE, ROLE, EMAIL, SOURCE, STATUS = range(11)
NARROW_EMAIL = 2  # a narrow message ends here, with the e-mail where others have the medium


def kind_of(message: Message) -> Kind | None:
    """Return what an Azaion message asks for; None when it is not one. Raises Rejected on an unknown status."""
    status = next((v for k, v in message.properties.items() if k.casefold() == STATUS_PROPERTY.casefold()), None)
    if status is None:
        return None
    kind = _by_number(status) or next((k for k in STATUSES.values() if k == str(status).strip().casefold()), None)
    if kind is None:
        raise Rejected(
            "message.unknown_type",
            f"{STATUS_PROPERTY} is {shown(status)}",
            f"Known are {', '.join(f'{number} ({name})' for number, name in STATUSES.items())}.",
        )
    return kind


def read(message: Message, kind: Kind) -> Submission:
    """Read an Azaion message of a known kind. Raises Rejected."""
    fields = _fields(unpack(message.body))
    if kind in {"validated", "deleted"}:
        return _bulk(message, kind, fields)
    name = fields.get(NAME)
    if not isinstance(name, str) or not name:
        raise Rejected("name.missing", f"field 1, the name, is {shown(name)}", "Send the annotation's name in field 1.")
    narrow = max(fields) <= NARROW_EMAIL
    image, medium = fields.get(IMAGE), fields.get(MEDIUM)
    dated = fields.get(DATE) is not None
    return Submission(
        kind=kind,
        wire="azaion",
        names=(name,),
        message_key=message_key("azaion", kind, message, dated=dated),
        image=image if isinstance(image, bytes) and image else None,
        medium=medium if isinstance(medium, str) and medium and not narrow else None,
        boxes=_detections(fields.get(DETECTIONS)),
        validated=_whole(fields.get(ROLE), OPERATOR) in VALIDATORS,
        source=SOURCES.get(_whole(fields.get(SOURCE), MANUAL), "manual"),
        producer=_text(fields.get(NARROW_EMAIL if narrow else EMAIL)),
        message_id=message.message_id,
        anonymous=not dated and message.message_id is None and message.created_ms is None,
    )


def _bulk(message: Message, kind: Kind, fields: dict[int, Any]) -> Submission:
    names = fields.get(0)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise Rejected(
            "name.missing", f"field 0 is {shown(names)}, not a list of names", "Send the names in field 0, each a text."
        )
    # What follows the names is not documented in full: it is read by type.
    rest = [value for key, value in fields.items() if key > 0]
    dated = any(isinstance(value, msgpack.Timestamp) for value in rest)
    return Submission(
        kind=kind,
        wire="azaion",
        names=tuple(names),
        message_key=message_key("azaion", kind, message, dated=dated),
        producer=next((value for value in rest if isinstance(value, str) and "@" in value), None),
        message_id=message.message_id,
        anonymous=not dated and message.message_id is None and message.created_ms is None,
    )


def _fields(body: Any) -> dict[int, Any]:
    if isinstance(body, list) and body:
        return dict(enumerate(body))
    if isinstance(body, dict):
        fields = {key: value for key, value in body.items() if isinstance(key, int) and not isinstance(key, bool)}
        if fields:
            return fields
    raise Rejected(
        "message.malformed", f"the body is {shown(body)}", "Send an array, or a map with the fields' numbers as keys."
    )


def _detections(value: Any) -> tuple[RawBox, ...]:
    if value is None or value in ("", b""):
        return ()
    try:
        listed = value if isinstance(value, list) else orjson.loads(value)
    except (ValueError, TypeError) as error:
        raise Rejected(
            "labels.not_json", f"field 5, the detections, is {shown(value)}", "Send the detections as a JSON list."
        ) from error
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise Rejected(
            "labels.not_json",
            f"field 5, the detections, holds {shown(listed)}",
            "Send a JSON list, even of one detection.",
        )
    if len(listed) > MAX_BOXES:
        raise too_large("boxes", len(listed), MAX_BOXES)
    return tuple(_box(number, entry) for number, entry in enumerate(listed))


def _box(number: int, entry: Any) -> RawBox:
    lowered = {str(key).casefold(): value for key, value in entry.items()} if isinstance(entry, dict) else {}
    try:
        confidence = lowered.get("confidence")
        x, y, w, h = (_number(lowered[side]) for side in ("x", "y", "w", "h"))
        return RawBox(
            cls=_class(lowered["cls"]),
            x=x,
            y=y,
            w=w,
            h=h,
            confidence=None if confidence is None else _number(confidence),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Rejected(
            "message.malformed",
            f"detection {number} has no usable {error.args[0] if isinstance(error, KeyError) else 'numbers'}",
            "Send cls, x, y, w and h as numbers with every detection.",
        ) from error


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("true and false are no numbers")
    return float(value)


def _class(value: Any) -> int | str:
    """Return a class id, or a class name; JSON may bring an id as 3, 3.0 or "3"."""
    if isinstance(value, str) and not value.strip().isdecimal():
        return value
    number = int(value)
    if isinstance(value, bool) or (isinstance(value, float) and number != value):
        raise TypeError("a class id is a whole number")
    return number


def _by_number(status: object) -> Kind | None:
    try:
        return STATUSES.get(int(status))  # type: ignore[call-overload]  # anything may stand there
    except (TypeError, ValueError, OverflowError):
        return None


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
