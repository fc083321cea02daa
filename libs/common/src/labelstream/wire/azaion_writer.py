"""Writes the Azaion wire, as its platform would: for importers and for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import msgpack
import orjson

from labelstream.streams.message import Message
from labelstream.wire.azaion import MANUAL, OPERATOR, STATUS_PROPERTY, STATUSES

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
_NUMBERS = {kind: number for number, kind in STATUSES.items()}


def capitals(key: str) -> str:
    """Write a JSON key as .NET does by default: annotation_name becomes AnnotationName."""
    return "".join(part.capitalize() for part in key.split("_"))


def camels(key: str) -> str:
    """Write a JSON key as JavaScript does: annotation_name becomes annotationName."""
    first, *others = key.split("_")
    return first + "".join(part.capitalize() for part in others)


@dataclass(frozen=True)
class AzaionWriter:
    """Writes messages in one of the forms that the wire allows."""

    form: Literal["array", "map"] = "array"
    casing: Callable[[str], str] = capitals
    role: int = OPERATOR
    email: str = "operator@example.org"
    date: datetime = _EPOCH
    source: int = MANUAL
    ticks: int = 0  # of 100 ns, into the medium
    trailing: Sequence[Any] = field(default=())  # fields of a later version

    def created(self, name: str, image: bytes, boxes: Sequence[dict[str, Any]], medium: str = "film.mp4") -> Message:
        """Write *Created*; a box is {"cls", "x", "y", "w", "h"}."""
        return self._annotation("created", name, image, boxes, medium)

    def edited(self, name: str, boxes: Sequence[dict[str, Any]], medium: str = "film.mp4") -> Message:
        """Write *Edited*, which carries no image."""
        return self._annotation("edited", name, None, boxes, medium)

    def validated(self, names: Sequence[str]) -> Message:
        """Write a bulk *Validated*."""
        return self._bulk("validated", names)

    def deleted(self, names: Sequence[str]) -> Message:
        """Write a bulk *Deleted*."""
        return self._bulk("deleted", names)

    def names_alone(self, kind: Literal["validated", "deleted"], names: Sequence[str]) -> Message:
        """Write a bulk message that holds nothing but the names."""
        return self._message(_NUMBERS[kind], [list(names)])

    def narrow(self, name: str) -> Message:
        """Write a narrow *Created*: date, name and e-mail."""
        return self._message(_NUMBERS["created"], [self.date, name, self.email])

    def _annotation(
        self,
        kind: Literal["created", "edited"],
        name: str,
        image: bytes | None,
        boxes: Sequence[dict[str, Any]],
        medium: str,
    ) -> Message:
        listed = [{self.casing(k): v for k, v in {"annotation_name": name, **box}.items()} for box in boxes]
        detections, status = orjson.dumps(listed).decode(), _NUMBERS[kind]
        labels = [self.date, name, medium, self.ticks, "jpg", detections, image]
        return self._message(status, [*labels, self.role, self.email, self.source, status, *self.trailing])

    def _bulk(self, kind: Literal["validated", "deleted"], names: Sequence[str]) -> Message:
        status = _NUMBERS[kind]
        return self._message(status, [list(names), status, self.date, self.role, self.email, *self.trailing])

    def _message(self, status: int, values: list[Any]) -> Message:
        body = values if self.form == "array" else dict(enumerate(values))
        return Message(body=bytes(msgpack.packb(body, datetime=True)), properties={STATUS_PROPERTY: status})
