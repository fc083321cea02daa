"""Writes docs/events.md from the events themselves: `python -m labelstream.events.document > docs/events.md`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from itertools import groupby

from labelstream.events.catalogue import EVENTS
from labelstream.events.tables import table, value_tables
from labelstream.wire.document import producers_section

HEAD = """# Events

What the services say to each other, and what producers say to them (*Annotation messages*, at the end). Made from
the code by `make docs`; a test keeps it true.

An event is an AMQP 1.0 message. Its body is MessagePack with string keys, as listed here; fields are only
ever added. Its properties are `message_id` (the event's id), `correlation_id` (the flow), `subject` (the type),
`content_type` (`application/msgpack`) and `creation_time` (ms). Application properties carry the CloudEvents
attributes with the prefix `cloudEvents_` (`specversion`, `id`, `source`, `type`, `time`, `datacontenttype`, `project`,
`task`), the W3C `traceparent`, and who wrote it: `labelstream_publisher`, `labelstream_sequence`, `labelstream_writer`.
"""


def events_page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *_sections(), *_values(), producers_section()])


def _sections() -> Iterator[str]:
    for stream, events in groupby(EVENTS, key=lambda event: event.stream):
        yield f"## Stream `{stream}`\n"
        for event in events:
            yield f"### `{event.type}`\n\n{inspect.getdoc(event)}\n"
            yield table(event)


def _values() -> Iterator[str]:
    yield "## Values\n\nWhat the fields above are made of.\n"
    yield from value_tables(EVENTS)


if __name__ == "__main__":
    sys.stdout.write(events_page())
