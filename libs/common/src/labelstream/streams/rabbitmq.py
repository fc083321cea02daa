"""The stream broker: RabbitMQ 3.10 or later, over its stream protocol."""

from __future__ import annotations

from weakref import WeakSet

from rstream import exceptions

from labelstream.errors import Misconfigured, Unavailable
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.streams.ports import Retention, Start
from labelstream.streams.rabbitmq_link import Links
from labelstream.streams.rabbitmq_publisher import RabbitPublisher
from labelstream.streams.rabbitmq_reader import RabbitReader
from labelstream.streams.rabbitmq_recovery import Outages, Recovery

SMALLEST_SEGMENT, USUAL_SEGMENT = 1_000_000, 500_000_000  # bytes
_NOT_THERE = "there is no stream {stream} yet, and this user may not create it: whoever writes it does when it starts"


class RabbitBroker:
    """Streams of one RabbitMQ. Readers and publishers outlive its absence and tell `health`; questions raise."""

    def __init__(self, settings: BrokerSettings, health: Health, connection_name: str) -> None:
        self._links = Links(settings, connection_name)
        self._outages = Outages(health)
        self._open: WeakSet[RabbitReader | RabbitPublisher] = WeakSet()

    async def ensure_stream(self, stream: str, retention: Retention | None = Retention()) -> None:  # noqa: B008 -- frozen
        """Create the stream when it is missing. Raises Unavailable, and Misconfigured when it exists otherwise.

        A user who may only read or write it finds it there, or waits (Unavailable) for the one who creates it.
        """
        arguments = _arguments(retention or Retention())
        async with self._links.any_node(f"creating {stream}") as link:
            try:
                await link.create_stream(stream, arguments)
            except exceptions.StreamAlreadyExists:
                return
            except exceptions.AccessRefused as error:
                if not await link.stream_exists(stream):
                    raise Unavailable("broker", _NOT_THERE.format(stream=stream)) from error
            except exceptions.PreconditionFailed as error:
                if retention is None:
                    return
                raise Misconfigured(
                    f"stream {stream} exists with another retention than {arguments or 'none'}:"
                    " set the retention that it has, or delete the stream if its messages may go"
                ) from error

    def reader(self, stream: str, start: Start) -> RabbitReader:
        """Read `stream` from `start`; `next` means what is published once the first `read` has attached."""
        reader = RabbitReader(self._links, stream, start, Recovery(f"reader of {stream}", self._outages))
        self._open.add(reader)
        return reader

    def publisher(self, stream: str, name: str) -> RabbitPublisher:
        """Write `stream` under the publisher name `name`."""
        recovery = Recovery(f"publisher {name} of {stream}", self._outages)
        publisher = RabbitPublisher(self._links, stream, name, recovery)
        self._open.add(publisher)
        return publisher

    async def last_publishing_id(self, stream: str, publisher: str) -> int:
        """Return the highest publishing id stored for `publisher`; 0 when there is none."""
        async with self._links.of_stream(stream, f"asking for {publisher}'s last id in {stream}") as link:
            return await link.last_publishing_id(publisher)

    async def first_offset(self, stream: str) -> int | None:
        """Return where the stream begins, or None when it is empty."""
        async with self._links.of_stream(stream, f"asking for the beginning of {stream}") as link:
            return await link.first_offset()

    async def last_offset(self, stream: str) -> int | None:
        """Return the offset of the last message, or None when the stream is empty."""
        async with self._links.of_stream(stream, f"asking for the end of {stream}") as link:
            return await link.last_offset()

    async def close(self) -> None:
        """Release all connections."""
        for one in list(self._open):
            await one.close()
        self._open.clear()


def _arguments(retention: Retention) -> dict[str, str]:
    """Return the stream's arguments. The broker drops whole segments, so a small stream gets small ones."""
    arguments = {}
    if retention.max_bytes is not None:
        segment = min(max(retention.max_bytes // 4, SMALLEST_SEGMENT), USUAL_SEGMENT)
        arguments = {"max-length-bytes": str(retention.max_bytes), "stream-max-segment-size-bytes": str(segment)}
    if retention.max_age_s is not None:
        arguments["max-age"] = f"{retention.max_age_s}s"
    return arguments
