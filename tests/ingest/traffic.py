"""What producers send on a bad day: repeats, orders turned round, and messages that are broken."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import replace

from PIL import Image

from labelstream.classes import ClassSchema
from labelstream.schemas import load_named_schema
from labelstream.streams.amqp import encode
from labelstream.streams.message import Message
from labelstream.wire import native
from labelstream.wire.azaion_writer import AzaionWriter

BROKEN = 0.02
AGAIN = 0.25  # delivered a second time, somewhere behind the first
EARLY = 0.25  # moved to somewhere in front of where they belong
FAR = 200  # messages, at most, that something is moved by
EXAMPLE = load_named_schema("example")


def traffic(count: int, seed: int) -> list[bytes]:
    """Return `count` encoded messages, the same for the same seed; a half of them repeated or out of order."""
    chance = random.Random(seed)
    plain = _lives(chance, round(count * (1 - BROKEN - AGAIN)))
    messages = _early(chance, plain)
    for _ in range(round(count * AGAIN)):
        first = chance.randrange(len(messages))
        messages.insert(first + 1 + chance.randrange(FAR), messages[first])
    while len(messages) < count:
        messages.insert(chance.randrange(len(messages)), chance.choice(_BROKEN)(chance))
    return messages


def _lives(chance: random.Random, count: int) -> list[bytes]:
    """Return the lives of annotations, one message after the other, woven into each other."""
    messages: list[Message] = []
    names: list[str] = []
    while len(messages) < count:
        number = len(messages)
        what = chance.random()
        if what < 0.5 or not names:
            names.append(f"frame-{number}")
            messages.append(_created(chance, names[-1]))
        elif what < 0.7:
            messages.append(native.write(chance.choice(names), None, _boxes(chance), kind="edited"))
        elif what < 0.85:
            some = chance.sample(names, min(len(names), chance.randint(1, 5)))
            messages.append(native.write_bulk("validated", some))
        elif what < 0.95:
            messages.append(native.write_bulk("deleted", [chance.choice(names)]))
        elif what < 0.99:
            messages.append(AzaionWriter().edited(chance.choice(names), [{"cls": 1, **_place(chance)}]))
        else:
            classes = (*EXAMPLE.classes, *(f"more-{n}" for n in range(chance.randint(1, 4))))
            messages.append(native.write_class_schema(ClassSchema(name="example", classes=classes)))
    numbered = (replace(one, message_id=one.message_id or f"{n}") for n, one in enumerate(messages))
    return [encode(one) for one in numbered]


def _early(chance: random.Random, messages: list[bytes]) -> list[bytes]:
    """Move some messages towards the front."""
    places = [
        at - chance.randrange(FAR) if chance.random() < EARLY / (1 - AGAIN) else at for at in range(len(messages))
    ]
    return [messages[at] for at in sorted(range(len(messages)), key=places.__getitem__)]


def _created(chance: random.Random, name: str) -> Message:
    medium = f"film-{chance.randrange(20)}"
    return native.write(name, _picture(chance), _boxes(chance), medium=medium, validated=chance.random() < 0.5)


def _picture(chance: random.Random) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (chance.randrange(256), chance.randrange(256), chance.randrange(256))).save(file, "PNG")
    return file.getvalue()


def _boxes(chance: random.Random) -> list[dict[str, object]]:
    return [{"class": chance.choice(EXAMPLE.classes), **_place(chance)} for _ in range(chance.randrange(3))]


def _place(chance: random.Random) -> dict[str, float]:
    return {"x": chance.uniform(0.3, 0.7), "y": chance.uniform(0.3, 0.7), "w": 0.2, "h": 0.3}


def _broken(make: Callable[[random.Random], Message]) -> Callable[[random.Random], bytes]:
    return lambda chance: encode(replace(make(chance), message_id=f"broken-{chance.random()}"))


_BROKEN: tuple[Callable[[random.Random], bytes], ...] = (
    lambda chance: chance.randbytes(chance.randrange(1, 80)),
    _broken(lambda chance: native.write("torn", _picture(chance)[:40], [])),
    _broken(lambda chance: native.write("dragon", _picture(chance), [{"class": "dragon", **_place(chance)}])),
    _broken(lambda chance: native.write("outside", _picture(chance), [{"class": "car", **_place(chance), "x": 1.5}])),
    _broken(lambda chance: Message(body=chance.randbytes(30), subject="annotation.submitted")),
    _broken(lambda _: native.write("imageless", None, [])),
)
