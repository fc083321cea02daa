"""Whether a view was folded from the stream that is there now."""

from __future__ import annotations

import structlog

from labelstream.errors import Rejected
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.amqp import decode
from labelstream.streams.ports import Broker
from labelstream.view.annotations import AnnotationView


async def discard_if_foreign(view: AnnotationView, broker: Broker, stream: str, health: Health) -> None:
    """Throw away what a view knows when its last event is not in the stream: it belongs to another one.

    Creates the stream when it is missing; waits while the broker is away. A stream whose beginning was removed is
    said to be degraded; a view that knows it is kept, since nothing else does.
    """
    await patiently(health, "broker", lambda: broker.ensure_stream(stream))
    last = await patiently(health, "broker", lambda: broker.last_offset(stream))
    first = await patiently(health, "broker", lambda: broker.first_offset(stream))
    if first:
        health.degraded(stream, f"what stood before offset {first} was removed: this stream must have no retention")
    if view.position is None or (first is not None and first > view.position):
        return
    if last is None or last < view.position or await _id_at(broker, stream, view.position) != view.tail:
        structlog.get_logger().warning("view.foreign", stream=stream, position=view.position, last=last)
        view.reset()


async def _id_at(broker: Broker, stream: str, offset: int) -> str | None:
    """Return the id of the event at an offset that the stream has reached; None when another one stands there."""
    reader = broker.reader(stream, offset)
    try:
        deliveries = await reader.read(at_most=1)
        while not deliveries:
            deliveries = await reader.read(at_most=1)
        return decode(deliveries[0].raw).message_id if deliveries[0].offset == offset else None
    except Rejected:
        return None  # whatever it is, it is no event of ours
    finally:
        await reader.close()
