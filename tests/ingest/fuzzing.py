"""Messages that nobody would send on purpose: good ones, damaged at every level that they have."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgpack
from PIL import Image

from labelstream.classes import ClassSchema
from labelstream.schemas import load_named_schema
from labelstream.streams.amqp import encode
from labelstream.streams.message import Message
from labelstream.wire import native
from labelstream.wire.azaion_writer import AzaionWriter
from labelstream.wire.submission import ImageReference

BOX = {"class": "car", "x": 0.5, "y": 0.4, "w": 0.2, "h": 0.1}
DETECTION = {"cls": 2, "x": 0.5, "y": 0.4, "w": 0.2, "h": 0.1, "confidence": 0.5}
NASTY_BYTES = (b"", b"\x00", b"\xff" * 4, b"\xc1", b"\xd9\xff", struct.pack(">d", float("nan")), b"\x7f\xff\xff\xff")
# Of files that are referred to: each begins as it has to.
KEYS = tuple(
    f"annotations/{rest}"
    for rest in (
        "1.png",
        "../x",
        "./x",
        "x/../y",
        "..",
        "",
        "/x",
        "x/",
        "x" * 1000,
        "%2e%2e/x",
        "?#&",
        "\\x",
        "é/☃.png",
        " ",
    )
)
NASTY_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63 - 1, 2**64 - 1, -(2**63), 1e308, float("nan"), float("inf"), "", "a" * 600, "\x00",
    "é" * 300, "\ud7ff", b"", b"\x00" * 40, [], {}, [[[[]]]], {"a": {"b": {}}}, msgpack.ExtType(5, b"x"),
    msgpack.Timestamp(2**33),
    "someone@example.org", "[]", "{}", "null", "[{}]", '[{"cls": 1}]', "../../etc",
)  # fmt: skip


def cases(seed: int, count: int) -> Iterator[bytes]:
    """Yield `count` encoded messages, the same for the same seed."""
    chance = random.Random(seed)
    originals = _originals()
    for _ in range(count):
        yield chance.choice(_DAMAGE)(chance, chance.choice(originals)) or b"\x00"


def _originals() -> list[Message]:
    classes = (*load_named_schema("example").classes, "submarine")
    made = [native.write(f"n-{kind}", image, [BOX], medium="film", tags=["t"]) for kind, image in _images().items()]
    for form in ("array", "map"):
        writer = AzaionWriter(form=form)  # type: ignore[arg-type]  # mypy takes the loop's variable for any text
        image = _images()["PNG"]
        made += [writer.created("a", image, [DETECTION]), writer.edited("a", [DETECTION]), writer.validated(["a", "b"])]
        made += [writer.deleted(["a"]), writer.narrow("a")]
    return [
        *made,
        native.write("n-PNG", None, [BOX, BOX], kind="edited"),
        *(native.write("r", ImageReference(key, "ab" * 32), [BOX]) for key in KEYS),
        native.write_bulk("validated", [f"n-{number}" for number in range(20)]),
        native.write_bulk("deleted", ["n-PNG"]),
        native.write_class_schema(ClassSchema(name="example", classes=classes)),
        native.write_erasure(names=["n-PNG"]),
        native.write_erasure(medium="film"),
    ]


def _images() -> dict[str, bytes]:
    made = {}
    for kind, mode in (("PNG", "RGB"), ("JPEG", "RGB"), ("WEBP", "RGB"), ("TIFF", "RGB"), ("BMP", "RGB"), ("GIF", "P")):
        file = io.BytesIO()
        Image.new(mode, (9, 7), 99).save(file, kind)
        made[kind] = file.getvalue()
    for kind, mode in (("TIFF", "CMYK"), ("JPEG", "CMYK"), ("PNG", "I;16"), ("TIFF", "F"), ("PNG", "LA")):
        file = io.BytesIO()
        Image.new(mode, (9, 7)).save(file, kind)
        made[f"{kind}-{mode}"] = file.getvalue()
    file = io.BytesIO()
    frames = [Image.new("RGB", (9, 7), (n, n, n)) for n in (0, 200)]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    made["animated"] = file.getvalue()
    return made


def _scramble(chance: random.Random, data: bytes) -> bytes:
    """Change, remove, repeat or insert a few bytes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.randrange(9))
        piece = bytes(changed[at:end])
        changed[at:end] = chance.choice((piece * 2, b"", chance.randbytes(len(piece)), chance.choice(NASTY_BYTES)))
    return bytes(changed[: chance.randrange(len(changed) + 1)] if chance.random() < 0.1 else changed)


def _message(chance: random.Random, message: Message) -> bytes:
    return _scramble(chance, encode(message))


def _body(chance: random.Random, message: Message) -> bytes:
    return encode(replace(message, body=_scramble(chance, message.body) or b"\xc0"))


def _value(chance: random.Random, message: Message) -> bytes:
    """Put a nasty value in the place of one of the body's values."""
    body = msgpack.unpackb(message.body, strict_map_key=False)
    return encode(replace(message, body=bytes(msgpack.packb(_replaced(chance, body)))))


def _replaced(chance: random.Random, value: Any) -> Any:
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        return {**value, key: _replaced(chance, value[key])}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        return [*value[:at], _replaced(chance, value[at]), *value[at + 1 :]]
    if isinstance(value, bytes) and value and chance.random() < 0.8:
        return _scramble(chance, value)
    if isinstance(value, str) and value and chance.random() < 0.3:
        return _scramble(chance, value.encode()).decode(errors="replace")
    return chance.choice(NASTY_VALUES)


def _properties(chance: random.Random, message: Message) -> bytes:
    names = [*message.properties, "AnnotationStatus", "labelstream_replays_stream", "labelstream_replays_offset"]
    values = ("", "annotations", 0, -1, 2**40, 10, 30.5, True, b"\xff", "someone@example.org", "x" * 3000)
    strange = {chance.choice(names): chance.choice(values) for _ in range(3)}
    changed = replace(message, properties={**message.properties, **strange})
    return encode(replace(changed, message_id=chance.choice((None, "", "x" * 500, "someone@example.org", "1"))))


def _as_it_is(_: random.Random, message: Message) -> bytes:
    return encode(message)


def _noise(chance: random.Random, _: Message) -> bytes:
    return chance.randbytes(chance.randrange(1, 300))


_DAMAGE: tuple[Callable[[random.Random, Message], bytes], ...] = (
    _message, _body, _body, _value, _value, _value, _properties, _as_it_is, _noise,
)  # fmt: skip
