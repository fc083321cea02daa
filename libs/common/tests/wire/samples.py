"""One message of each form of both wires, and what they are read as.

`python samples.py` writes the golden files anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from labelstream.classes import ClassSchema
from labelstream.streams.message import Message
from labelstream.wire import azaion, native
from labelstream.wire.azaion_writer import AzaionWriter, camels, capitals
from labelstream.wire.reading import read_submission
from labelstream.wire.submission import ImageReference

GOLDEN = Path(__file__).parent / "golden"
BOX = {"class": "car", "x": 0.5, "y": 0.4, "w": 0.2, "h": 0.1}
DETECTION = {"cls": 21, "x": 0.5, "y": 0.4, "w": 0.2, "h": 0.1}
IMAGE = ImageReference("annotations/film/1.jpg", "ab" * 32)

FORMS: tuple[Literal["array", "map"], ...] = ("array", "map")
ROLES = {
    "operator": azaion.OPERATOR,
    "validator": azaion.VALIDATOR,
    "companion": azaion.COMPANION_PC,
    "admin": azaion.ADMIN,
    "api-admin": azaion.API_ADMIN,
}
CASINGS: dict[str, Callable[[str], str]] = {
    "snake": str.lower,
    "upper": str.upper,
    "capitals": capitals,
    "camels": camels,
}


def golden_messages() -> dict[str, Message]:
    """Return the messages by the name of their golden file."""
    return {**_azaion_forms(), **_azaion_variations(), **_native()}


def _azaion_forms() -> dict[str, Message]:
    messages: dict[str, Message] = {}
    for form in FORMS:
        writer = AzaionWriter(form=form, role=azaion.VALIDATOR)
        later = AzaionWriter(form=form, trailing=("later", 5, {"a": [1]}))
        messages |= {
            f"created-{form}": writer.created("frame-1", b"pixels", [DETECTION]),
            f"edited-{form}": writer.edited("frame-1", [DETECTION]),
            f"validated-{form}": writer.validated(["frame-1", "frame-2"]),
            f"deleted-{form}": writer.deleted(["frame-1"]),
            f"narrow-{form}": writer.narrow("frame-1"),
            f"names-alone-{form}": writer.names_alone("validated", ["frame-1", "frame-2"]),
            f"created-later-{form}": later.created("frame-1", b"pixels", [DETECTION]),
            f"validated-later-{form}": later.validated(["frame-1"]),
        }
    return messages


def _azaion_variations() -> dict[str, Message]:
    by_model = AzaionWriter(source=azaion.AI, ticks=123_456_789)
    messages = {"created-ai": by_model.created("frame-1", b"pixels", [{**DETECTION, "confidence": 0.75}, DETECTION])}
    for name, role in ROLES.items():
        writer = AzaionWriter(role=role, email=f"{name}@example.org")
        messages[f"created-by-{name}"] = writer.created("frame-1", b"pixels", [DETECTION])
        messages[f"edited-by-{name}"] = writer.edited("frame-1", [DETECTION])
        messages[f"validated-by-{name}"] = writer.validated(["frame-1"])
    for name, casing in CASINGS.items():
        messages[f"created-in-{name}"] = AzaionWriter(casing=casing).created("frame-1", b"pixels", [DETECTION])
    return messages


def _native() -> dict[str, Message]:
    return {
        "native-submitted": native.write(
            "n", b"pixels", [{**BOX, "confidence": 0.5}], medium="film", split="val", validated=False, source="ai"
        ),
        "native-reference": native.write("n", IMAGE, [BOX], tags=["rain", "dusk"], message_id="1", producer="a@b.cd"),
        "native-edited": native.write("n", None, [], kind="edited"),
        "native-validated": native.write_bulk("validated", ["a", "b"], message_id="2"),
        "native-deleted": native.write_bulk("deleted", ["a"]),
        "native-class-schema": native.write_class_schema(ClassSchema(name="s", version=2, classes=("car", "bus"))),
        "native-erase-names": native.write_erasure(["a", "b"]),
        "native-erase-medium": native.write_erasure(medium="film"),
    }


def described(message: Message) -> dict[str, Any]:
    """Return what a message is read as, for a golden file."""
    read = read_submission(message)
    image: Any = read.image.decode() if isinstance(read.image, bytes) else None
    if isinstance(read.image, ImageReference):
        image = {"key": read.image.key, "sha256": read.image.sha256}
    return {
        "type": message.properties.get("AnnotationStatus", message.subject),
        "wire": read.wire,
        "kind": read.kind,
        "names": list(read.names),
        "key": read.message_key,
        "boxes": [[b.cls, b.x, b.y, b.w, b.h, b.confidence] for b in read.boxes],
        "image": image,
        "medium": read.medium,
        "split": read.split,
        "validated": read.validated,
        "source": read.source,
        "tags": list(read.tags),
        "class_schema": read.class_schema.model_dump(mode="json") if read.class_schema else None,
        "producer": read.producer,
        "anonymous": read.anonymous,
    }


def write_golden() -> None:
    """Write every golden file."""
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.iterdir():
        old.unlink()
    for stem, message in golden_messages().items():
        (GOLDEN / f"{stem}.msgpack").write_bytes(message.body)
        (GOLDEN / f"{stem}.json").write_text(json.dumps(described(message), indent=1) + "\n")


if __name__ == "__main__":
    write_golden()
