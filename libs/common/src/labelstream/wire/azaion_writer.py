"""Writes the Azaion wire, as its platform would: for importers and for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import msgpack
import orjson

from labelstream.streams.message import Message
from labelstream.wire.azaion import MANUAL, OPERATOR, STATUS_PROPERTY

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


def capitals(key: str) -> str:
    """Write a JSON key as .NET does by default: annotation_name becomes AnnotationName."""
    return "".join(part.capitalize() for part in key.split("_"))


@dataclass(frozen=True)
class AzaionWriter:
    """Writes messages in one of the forms that the wire allows."""

    form: Literal["array", "map"] = "array"
    casing: Callable[[str], str] = capitals
    role: int = OPERATOR
    email: str = "operator@example.org"
    date: datetime = _EPOCH
    trailing: Sequence[Any] = field(default=())  # fields of a later version

    def created(self, name: str, image: bytes, boxes: Sequence[dict[str, Any]], medium: str = "film.mp4") -> Message:
        """Write *Created*; a box is {"cls", "x", "y", "w", "h"}."""
        return self._annotation(10, name, image, boxes, medium)

    def edited(self, name: str, boxes: Sequence[dict[str, Any]], medium: str = "film.mp4") -> Message:
        """Write *Edited*, which carries no image."""
        return self._annotation(20, name, None, boxes, medium)

    def validated(self, names: Sequence[str]) -> Message:
        """Write a bulk *Validated*."""
        return self._message(30, [list(names), 30, self.date, self.role, self.email])

    def deleted(self, names: Sequence[str]) -> Message:
        """Write a bulk *Deleted*."""
        return self._message(40, [list(names), 40, self.date, self.role, self.email])

    def narrow(self, name: str) -> Message:
        """Write a narrow *Created*: date, name and e-mail."""
        return self._message(10, [self.date, name, self.email])

    def _annotation(
        self, status: int, name: str, image: bytes | None, boxes: Sequence[dict[str, Any]], medium: str
    ) -> Message:
        listed = [{self.casing(k): v for k, v in {"annotation_name": name, **box}.items()} for box in boxes]
        detections = orjson.dumps(listed).decode()
        fields = [self.date, name, medium, 0, "jpg", detections, image, self.role, self.email, MANUAL, status]
        return self._message(status, fields)

    def _message(self, status: int, fields: list[Any]) -> Message:
        values = [*fields, *self.trailing]
        body = values if self.form == "array" else dict(enumerate(values))
        return Message(body=bytes(msgpack.packb(body, datetime=True)), properties={STATUS_PROPERTY: status})
