"""How new a dataset is: when the newest annotation was received that it knows of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.streams.amqp import decode
from labelstream.streams.ports import Broker
from labelstream.view import AnnotationView

PATIENCE_S = 5.0  # a training does not wait for it

WhenAnnotated = Callable[[str, int], Awaitable[int | None]]  # of (project, cut); None: it is not known


async def not_known(_project: str, _cut: int) -> int | None:
    """Know nothing."""
    return None


@dataclass(frozen=True)
class Annotated:
    """Finds the receipt of the newest validated annotation; the view knows where it stands, and the stream when."""

    view: AnnotationView
    broker: Broker

    async def newest_ms(self, project: str, cut: int) -> int | None:
        """Return when the newest annotation up to `cut` was validated; None when there is none, or the broker away."""
        offset = self.view.newest_validation(project, cut)
        if offset is None:
            return None
        reader = self.broker.reader(ANNOTATION_EVENTS, offset)
        try:
            deliveries = await reader.read(at_most=1, wait_s=PATIENCE_S)
        finally:
            await reader.close()
        if not deliveries or deliveries[0].offset != offset:
            return None
        receipt = Envelope.from_message(decode(deliveries[0].raw))
        return receipt.time_ms if receipt is not None and receipt.time_ms else None
