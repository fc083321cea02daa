"""Following another service's stream: every event, in order, into a fold."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

import structlog

from labelstream.errors import Rejected
from labelstream.events.envelope import Envelope
from labelstream.service import metrics
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.amqp import decode
from labelstream.streams.lag import Behind, reading
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker, Start

OUTCOMES = HANDLED, UNKNOWN, REJECTED = "handled", "unknown", "rejected"

log = structlog.get_logger()


async def follow(
    broker: Broker,
    stream: str,
    start: Start,
    fold: Callable[[int, Envelope], None],
    health: Health,
    *,
    caught_up: Callable[[], None] = lambda: None,
    reader: str = "",
) -> None:
    """Call `fold(offset, envelope)` for each event of `stream` from `start` on, until cancelled.

    `caught_up` is called whenever nothing more is there for now. A malformed event is passed over and
    shown as degraded: its bytes stay in the stream, which has no retention limit. `reader`: under which name
    the metrics say how far we are behind; without one they don't.
    """
    await patiently(health, "broker", lambda: broker.ensure_stream(stream))
    for outcome in OUTCOMES:
        metrics.HANDLED.labels(stream, outcome)
    coming = broker.reader(stream, start)
    try:
        async with _measured(broker, stream, reader) as behind:
            behind.begin(start)
            while True:
                deliveries = await coming.read()
                behind.read(deliveries)
                for delivery in deliveries:
                    _take(delivery, fold, health)
                    behind.handled(delivery.offset)
                if not deliveries:
                    caught_up()
    finally:
        await coming.close()


def _measured(broker: Broker, stream: str, reader: str) -> AbstractAsyncContextManager[Behind]:
    return reading(broker, stream, reader) if reader else nullcontext(Behind(stream, reader))


def _take(delivery: Delivery, fold: Callable[[int, Envelope], None], health: Health) -> None:
    outcome = HANDLED
    try:
        envelope = Envelope.from_message(decode(delivery.raw))
        if envelope is None:
            outcome = UNKNOWN
        else:
            fold(delivery.offset, envelope)
    except Rejected as error:
        outcome = REJECTED
        log.error("event.rejected", stream=delivery.stream, offset=delivery.offset, reason=str(error))
        health.degraded(delivery.stream, f"offset {delivery.offset}: {error}")
    health.handled(delivery.stream, delivery.offset)
    metrics.HANDLED.labels(delivery.stream, outcome).inc()
    metrics.OFFSET.labels(delivery.stream).set(delivery.offset)
