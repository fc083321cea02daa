"""Our own streams, made by the operator before the services start.

A service creates the streams that it writes, and waits for those of others. On this machine somebody may leave the
others out for good (`labelstream up --service augmenter`): what was asked for comes up all the same.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from labelstream.errors import Unavailable
from labelstream.events.base import (
    ACCESS_EVENTS,
    ANNOTATION_EVENTS,
    BATCH_EVENTS,
    MODEL_EVENTS,
    SERVING_EVENTS,
    TRAINING_EVENTS,
)
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.streams.rabbitmq import RabbitBroker

STREAMS = (ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS, SERVING_EVENTS, ACCESS_EVENTS)


def create_streams(settings: BrokerSettings) -> bool:
    """Create those that are missing; return whether the broker was there to do so."""
    with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop of its own
        return thread.submit(asyncio.run, _create(settings)).result()


async def _create(settings: BrokerSettings) -> bool:
    broker = RabbitBroker(settings, Health(), "labelstream up")
    try:
        for stream in STREAMS:
            await broker.ensure_stream(stream, None)
    except Unavailable:
        return False
    finally:
        await broker.close()
    return True
