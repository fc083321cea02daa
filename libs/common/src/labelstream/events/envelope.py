"""An event on its way: the CloudEvents attributes around its body.

On the wire an event is an AMQP 1.0 message: properties, CloudEvents attributes as application
properties with the prefix `cloudEvents_`, and a MessagePack body with string keys.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgpack
from pydantic import ValidationError

from labelstream.errors import Rejected
from labelstream.events.base import Event
from labelstream.events.catalogue import BY_TYPE
from labelstream.service import tracing
from labelstream.streams.message import Message, PropertyValue
from labelstream.values import short_id

PREFIX = "cloudEvents_"
ALSO_ACCEPTED = "cloudEvents:"
CONTENT_TYPE = "application/msgpack"


@dataclass(frozen=True)
class Envelope:
    """An event with who said it, when, about which project, in which flow."""

    event: Event
    id: str
    source: str
    project: str = "default"
    task: str = "detect"
    time_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    flow: str = ""
    traceparent: str = ""
    step: tracing.Step | None = field(default=None, compare=False, repr=False)  # how it came to be; stays here

    @classmethod
    def of(
        cls,
        event: Event,
        *,
        source: str,
        answers: str,
        project: str,
        flow: str = "",
        traceparent: str = "",
        links: Sequence[str] = (),
    ) -> Envelope:
        """Wrap `event`; its id is derived from `source` and what it `answers`, so a retry has the same id.

        It continues the trace of its cause, `traceparent`; `links` are those of other causes.
        """
        identity = short_id(source, event.type, answers)
        own, step = tracing.step(identity, traceparent, links)
        return cls(
            event=event,
            id=identity,
            source=source,
            project=project,
            flow=flow or short_id("flow", source, answers),
            traceparent=own,
            step=step,
        )

    def since(self, time_ms: int) -> Envelope:
        """Return it with what it answers said at that time: for causes that are no events of ours."""
        if self.step is None or not time_ms:
            return self
        return replace(self, step=replace(self.step, since_ns=time_ms * 1_000_000))

    def stored(self) -> None:
        """Tell the traces that it stands in its stream."""
        tracing.heard(self.traceparent, self.time_ms)
        about: dict[str, tracing.Value] = {"event": self.id, "project": self.project, "flow": self.flow}
        tracing.said(self.event.type, self.traceparent, self.step, about)

    def to_message(self) -> Message:
        """Return the event as a message to publish."""
        attributes: dict[str, PropertyValue] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.event.type,
            "time": self.time_ms,
            "datacontenttype": CONTENT_TYPE,
            "project": self.project,
            "task": self.task,
        }
        return Message(
            body=msgpack.packb(self.event.model_dump(mode="python", by_alias=True, exclude_none=True)),
            message_id=self.id,
            correlation_id=self.flow,
            subject=self.event.type,
            content_type=CONTENT_TYPE,
            created_ms=self.time_ms,
            properties={**{PREFIX + k: v for k, v in attributes.items()}, "traceparent": self.traceparent},
        )

    @classmethod
    def from_message(cls, message: Message) -> Envelope | None:
        """Read an event of ours; None when its type is unknown here (fields and types are only added).

        Raises Rejected when the message claims a known type and its body does not fit it.
        """
        attributes = {
            key.removeprefix(PREFIX).removeprefix(ALSO_ACCEPTED): value for key, value in message.properties.items()
        }
        kind = BY_TYPE.get(str(attributes.get("type", message.subject)))
        if kind is None:
            return None
        try:
            event = kind.model_validate(msgpack.unpackb(message.body))
        except (ValidationError, ValueError, msgpack.UnpackException) as error:
            raise Rejected(
                "event.malformed",
                f"a {kind.type} event does not fit its schema: {error}",
                "Compare the writer's version of labelstream with the reader's.",
            ) from error
        traceparent, time_ms = str(message.properties.get("traceparent", "")), int(attributes.get("time", 0))
        tracing.heard(traceparent, time_ms)
        return cls(
            event=event,
            id=str(attributes.get("id", message.message_id)),
            source=str(attributes.get("source", "")),
            project=str(attributes.get("project", "default")),
            task=str(attributes.get("task", "detect")),
            time_ms=time_ms,
            flow=message.correlation_id or "",
            traceparent=traceparent,
        )
