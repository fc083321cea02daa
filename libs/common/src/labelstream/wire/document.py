"""The section of docs/events.md for those who write an annotation stream."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator

import msgpack

from labelstream.classes import ClassSchema
from labelstream.events.tables import table, value_tables
from labelstream.streams.message import Message
from labelstream.wire import native
from labelstream.wire.azaion import STATUS_PROPERTY, STATUSES, VALIDATOR
from labelstream.wire.azaion_writer import AzaionWriter
from labelstream.wire.bodies import BODIES, Body
from labelstream.wire.limits import MAX_BOXES, MAX_NAMES, MAX_NAMES_BYTES, MAX_TEXT
from labelstream.wire.submission import ImageReference

HEAD = f"""## Annotation messages

What producers write to an input stream. Two wires are read: the native form, described here, and the Azaion wire.
Every message gets one receipt, `annotation.settled` (`annotation.erased` for an erasure), with the producer's
`message_id` and the offset of the message in it. `docs/annotation-message.schema.json` says the same as a JSON Schema.
Each outcome that is `rejected` names the rule that was broken, and each note the one that warns: all of them stand in
[the list of rules](../services/annotation-ingest/README.md#rules).

To a sender, two outcomes mean that nothing needs to be sent again. `held`: the annotation is not there yet; what was
asked is done when it comes (it expires after many later messages, `hold_messages`).
`superseded`: nothing was done, because something newer stands for that name: the
annotation is deleted (for an edit or a validation), a deletion waited for it, a later edit brought its image before
the creation came, or a replay came after something newer. To bring a deleted annotation back, submit it anew with its
image.

A native message is an AMQP 1.0 message. Its type stands in the application property `cloudEvents_type`
(`cloudEvents:type` is read too), or else in the property `subject`. The body is one MessagePack map with string keys;
unknown keys are ignored. What else counts:

- `message_id`: makes a repeated delivery known as such, and stands in the receipt. Give every message its own, and
  repeat the same one, with the same `creation_time` and body, in every attempt to send it.
- `correlation_id` and the application property `traceparent`: handed on through every event that follows.
- **Send the image by reference.** Put the file into the incoming bucket under a key with the prefix of the input stream
  (`<stream>/` by default), then send `image_ref` with the key and the file's SHA-256. The file is copied, and its
  digest checked; a key outside the prefix, an absent file and another digest are refused. URLs are not fetched. An
  image in the message itself (`image`) suits small files and first steps.
- Boxes are centre and size as fractions of the image's width and height, after its EXIF orientation is applied.
- Texts hold no control characters. A name, a medium, a tag, a class or a key with an e-mail address in it is
  refused (`text.personal`); an address in `message_id`, `correlation_id` or `traceparent` is left out of the receipt.
- Limits, so that the receipt stays below 900 kB: {MAX_NAMES} names (or classes of a schema) in a message with
  {MAX_NAMES_BYTES} bytes together in UTF-8, {MAX_BOXES} boxes, {MAX_TEXT} characters in a name or medium. More names or
  boxes are refused (`message.too_large`): split them into several messages.
"""

AZAION = f"""### The Azaion wire

A message with the application property `{STATUS_PROPERTY}` (its name in any casing; {{statuses}}; a number or a word)
is read as Azaion's. The body is a MessagePack array, or a map with integer keys, with the fields at their documented
places: *Created* and *Edited* are 0 date, 1 name, 2 medium, 3 time, 4 extension, 5 detections (a JSON list, keys in any
casing), 6 image, 7 role, 8 e-mail, 9 source, 10 status; a body that ends at 2 is a narrow one, with the e-mail at 2.
*Validated* and *Deleted* hold the list of names at 0, and what follows is read by type. Unknown trailing fields are
ignored, and gzip sub-entry batches are read. The role of a validator, an administrator or an API administrator makes
content count as validated, as far as the input stream may; any other role does not. The e-mail is kept as a keyed hash
only. A body with a date is known again whatever its message id. The limits are those of the native form.

A detection has these keys, in any casing (`cls`, `Cls`, `CLS`); others are ignored:

| key | type | meaning |
|---|---|---|
| `cls` | number or text | a class id (`3`, `3.0` and `"3"` are one), or a class name of the project's schema |
| `x`, `y` | number | of the centre, as fractions of the image's width and height: 0 to 1 |
| `w`, `h` | number | width and height, as fractions of the image's: 0 to 1 |
| `confidence` | number | of the model that drew it, 0 to 1 (optional) |
| `annotation_name`, `AnnotationName` | text | not read: the name in field 1 counts (optional) |

*Created*, for example, with the application property `{STATUS_PROPERTY}` = {{status}}; field 5 is a text that
holds JSON, and bytes and times are MessagePack's own, here in words:

{{example}}"""

_SHA256 = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
_BOX = {"class": "car", "x": 0.5, "y": 0.42, "w": 0.2, "h": 0.1}


def examples() -> dict[str, Message]:
    """Return one message of each native type."""
    image = ImageReference("annotations/film-17/frame-000120.jpg", _SHA256)
    return {
        "annotation.submitted": native.write(
            "film-17/000120", image, [_BOX], medium="film-17", tags=["rain"], message_id="6f1c"
        ),
        "annotation.edited": native.write("film-17/000120", None, [{**_BOX, "w": 0.25}], kind="edited"),
        "annotation.validated": native.write_bulk("validated", ["film-17/000120", "film-17/000124"]),
        "annotation.deleted": native.write_bulk("deleted", ["film-17/000124"]),
        "class_schema.changed": native.write_class_schema(
            ClassSchema(name="traffic", version=2, classes=("car", "person", "lorry"))
        ),
        "annotation.erasure_requested": native.write_erasure(medium="film-17"),
    }


def azaion_example() -> Message:
    """Return a *Created* of the Azaion wire."""
    box = {"cls": 3, "x": 0.5, "y": 0.42, "w": 0.2, "h": 0.1, "confidence": 0.87}
    return AzaionWriter(role=VALIDATOR).created("film-17/000120", b"the file's bytes", [box], medium="film-17")


def producers_section() -> str:
    """Return the section."""
    return "\n".join([HEAD, *_types(), *value_tables(BODIES.values()), _azaion()])


def _azaion() -> str:
    message = azaion_example()
    return AZAION.format(
        statuses=", ".join(f"{number} {name}" for number, name in STATUSES.items()),
        status=message.properties[STATUS_PROPERTY],
        example=_json(msgpack.unpackb(message.body, timestamp=3)),
    )


def _types() -> Iterator[str]:
    explained: dict[type[Body], str] = {}
    shown = examples()
    for name, body in BODIES.items():
        yield f"### `{name}`\n\n{_MEANINGS[name]}\n"
        if body in explained:
            yield f"The fields are those of `{explained[body]}`.\n"
        else:
            explained[body] = name
            yield f"{inspect.getdoc(body)}\n\n{table(body)}"
        if name == "annotation.submitted":
            yield f"Properties, for example:\n\n{_json(_properties(shown[name]))}\nBody:\n"
        else:
            yield "Body, for example:\n"
        yield _json(msgpack.unpackb(shown[name].body))


_MEANINGS = {
    "annotation.submitted": "A new annotation, or a known one with other content. It brings its image.",
    "annotation.edited": "Other boxes; without an image, the annotation keeps the one that it has.",
    "annotation.validated": "Somebody checked these annotations: they may be trained on.",
    "annotation.deleted": "These annotations are to be used no more. Their content is kept.",
    "class_schema.changed": "Ordered with the annotations around it; taken from inputs that may change the schema.",
    "annotation.erasure_requested": "Removes the images and all that was said; taken from inputs that may erase.",
}


def _properties(message: Message) -> dict[str, object]:
    return {
        "message_id": message.message_id,
        "subject": message.subject,
        "content_type": message.content_type,
        "application properties": message.properties,
    }


def _in_words(value: object) -> str:
    """Return what JSON does not have."""
    return f"<{value.decode()}>" if isinstance(value, bytes) else f"<{value}>"


def _json(value: object) -> str:
    short = json.dumps(value, ensure_ascii=False, default=_in_words)
    text = short if len(short) < 100 else json.dumps(value, indent=1, ensure_ascii=False, default=_in_words)
    return f"```json\n{text}\n```\n"
