"""Says on `serving-events` what a replica did. Nothing waits for it, and no checkpoint hangs on it."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from inference.serving.patience import Patience
from inference.serving.standing import Standing
from labelstream.errors import Misconfigured
from labelstream.events.base import SERVING_EVENTS, Event
from labelstream.events.envelope import Envelope
from labelstream.streams.ports import Broker

KEPT = 1000  # events that wait for a broker that is away; the oldest go first


class Telemetry:
    """Publishes events in order, whenever the broker is there."""

    def __init__(self, broker: Broker, replica: str, standing: Standing, patience: Patience) -> None:
        """Publish under the name of `replica`, which is stable: the broker remembers each name."""
        self._broker = broker
        self._name = f"inference.{replica}"
        self._standing = standing
        self._patience = patience
        self._said: deque[Envelope] = deque(maxlen=KEPT)
        self._more = asyncio.Event()

    def say(self, event: Event, project: str, cause: Envelope | None = None) -> None:
        """Publish `event` when the broker is there; it belongs to the flow of its `cause`."""
        # The same promotion is followed again after a restart, and that is another fact: hence the time.
        answers = f"{cause.id if cause else project}:{time.time_ns()}"
        flow, traceparent = (cause.flow, cause.traceparent) if cause else ("", "")
        self._said.append(
            Envelope.of(event, source=self._name, answers=answers, project=project, flow=flow, traceparent=traceparent)
        )
        self._more.set()

    async def run(self) -> None:
        """Publish what is said, until cancelled; what a broker refused is published when it takes it."""
        while True:
            try:
                await self._publish()
            except Misconfigured as error:
                self._standing.unheard(str(error))
                await asyncio.sleep(self._patience.longest)

    async def _publish(self) -> None:
        number = await self._patience.until_there(self._open, self._standing.unheard)
        publisher = self._broker.publisher(SERVING_EVENTS, self._name)
        try:
            while True:
                while self._said:
                    envelope = self._said[0]
                    await publisher.publish([(number + 1, envelope.to_message())])
                    envelope.stored()
                    number += 1
                    if self._said[0] is envelope:  # unless newer ones took its place meanwhile
                        self._said.popleft()
                self._more.clear()
                await self._more.wait()
        finally:
            await publisher.close()

    async def _open(self) -> int:
        await self._broker.ensure_stream(SERVING_EVENTS)
        return await self._broker.last_publishing_id(SERVING_EVENTS, self._name)
