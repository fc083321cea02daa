"""Whether a view was folded from the stream that is there now."""

from __future__ import annotations

from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.ports import Broker
from labelstream.view.annotations import AnnotationView


async def discard_if_foreign(view: AnnotationView, broker: Broker, stream: str, health: Health) -> None:
    """Throw away what a view knows when that is more than the stream holds: it belongs to another stream.

    Creates the stream when it is missing; waits while the broker is away.
    """
    await patiently(health, "broker", lambda: broker.ensure_stream(stream))
    last = await patiently(health, "broker", lambda: broker.last_offset(stream))
    if view.position is not None and (last is None or last < view.position):
        view.reset()
