"""Writes docs/events.md from the events themselves: `python -m labelstream.events.document > docs/events.md`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from itertools import groupby

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from labelstream.events.catalogue import EVENTS

HEAD = """# Events

What the services say to each other. Made from the code by `make docs`; a test keeps it true.

An event is an AMQP 1.0 message. Its body is MessagePack with string keys, as listed here; fields are only
ever added. Its properties are `message_id` (the event's id), `correlation_id` (the flow), `subject` (the type),
`content_type` (`application/msgpack`) and `creation_time` (ms). Application properties carry the CloudEvents
attributes with the prefix `cloudEvents_` (`specversion`, `id`, `source`, `type`, `time`, `datacontenttype`, `project`,
`task`), the W3C `traceparent`, and who wrote it: `labelstream_publisher`, `labelstream_sequence`, `labelstream_writer`.
"""


def events_page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *_sections(), *_values()]) + "\n"


def _sections() -> Iterator[str]:
    for stream, events in groupby(EVENTS, key=lambda event: event.stream):
        yield f"## Stream `{stream}`\n"
        for event in events:
            yield f"### `{event.type}`\n\n{inspect.getdoc(event)}\n"
            yield _table(event)


def _values() -> Iterator[str]:
    yield "## Values\n\nWhat the fields above are made of.\n"
    seen: dict[str, type[BaseModel]] = {}
    for event in EVENTS:
        _collect(event, seen)
    for name, value in sorted(seen.items()):
        yield f"### {name}\n\n{inspect.getdoc(value)}\n"
        yield _table(value)


def _table(model: type[BaseModel]) -> str:
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        meaning = field.description or ""
        if not field.is_required():
            meaning = f"{meaning} (optional)".strip()
        rows.append(f"| `{field.alias or name}` | {_type(field)} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


def _type(field: FieldInfo) -> str:
    text = inspect.formatannotation(field.annotation).replace("typing.", "")
    for noise in ("labelstream.events.annotation.", "labelstream.events.training.", "labelstream.events.batch."):
        text = text.replace(noise, "")
    for noise in ("labelstream.events.model.", "labelstream.values.", "labelstream.labels."):
        text = text.replace(noise, "")
    if "Literal[" in text:
        text = "one of " + text.replace("Literal[", "").replace("]", "").replace("'", "")
    return text.replace(" | None", "").replace("Optional[", "").replace("|", "or")


def _collect(model: type[BaseModel], seen: dict[str, type[BaseModel]]) -> None:
    for field in model.model_fields.values():
        for part in _classes_in(field.annotation):
            if part.__name__ not in seen:
                seen[part.__name__] = part
                _collect(part, seen)


def _classes_in(annotation: object) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and not getattr(annotation, "__args__", None):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for argument in getattr(annotation, "__args__", ()):
        yield from _classes_in(argument)


if __name__ == "__main__":
    sys.stdout.write(events_page())
