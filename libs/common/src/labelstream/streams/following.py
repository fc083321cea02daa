"""Following another service's stream: every event, in order, into a fold."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from labelstream.errors import Rejected
from labelstream.events.envelope import Envelope
from labelstream.service import metrics
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker, Start

log = structlog.get_logger()


async def follow(
    broker: Broker,
    stream: str,
    start: Start,
    fold: Callable[[int, Envelope], None],
    health: Health,
    *,
    caught_up: Callable[[], None] = lambda: None,
) -> None:
    """Call `fold(offset, envelope)` for each event of `stream` from `start` on, until cancelled.

    `caught_up` is called whenever nothing more is there for now. A malformed event is passed over and
    shown as degraded: its bytes stay in the stream, which has no retention limit.
    """
    await patiently(health, "broker", lambda: broker.ensure_stream(stream))
    reader = broker.reader(stream, start)
    try:
        while True:
            deliveries = await reader.read()
            for delivery in deliveries:
                _take(delivery, fold, health)
            if not deliveries:
                caught_up()
    finally:
        await reader.close()


def _take(delivery: Delivery, fold: Callable[[int, Envelope], None], health: Health) -> None:
    outcome = "handled"
    try:
        envelope = Envelope.from_message(decode(delivery.raw))
        if envelope is None:
            outcome = "unknown"
        else:
            fold(delivery.offset, envelope)
    except Rejected as error:
        outcome = "rejected"
        log.error("event.rejected", stream=delivery.stream, offset=delivery.offset, reason=str(error))
        health.degraded(delivery.stream, f"offset {delivery.offset}: {error}")
    health.handled(delivery.stream, delivery.offset)
    metrics.HANDLED.labels(delivery.stream, outcome).inc()
    metrics.OFFSET.labels(delivery.stream).set(delivery.offset)
