"""One connection to one RabbitMQ node, which knows when it is lost.

Built on rstream's `Client` alone. Its `Consumer` and `Producer` recover in ways that lose or repeat
messages, so recovery is ours: a lost link is thrown away, and its owner opens a new one from what it
holds in memory. This is the one file that touches rstream's inner parts.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from rstream import connection, exceptions, schema
from rstream.client import Client
from rstream.constants import OffsetType

from labelstream.errors import Misconfigured, Unavailable
from labelstream.service.cancels import heeding_cancels
from labelstream.service.settings import BrokerSettings
from labelstream.service.tls import BROKER_CA, perhaps_tls, trusting, why_not
from labelstream.streams.padding import padded_until
from labelstream.streams.rabbitmq_chunk import messages

connection.CHUNK_SIZE = 1 << 20  # rstream reads 256 bytes at a time; large messages go three times as fast with this
FRAME_MAX = 20 << 20  # the broker's own limit applies when it is lower
CONNECT_TIMEOUT_S = 10.0
QUERY_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
ONLY = 0  # our number for the one subscription or publisher of a link

_REFUSED = (
    exceptions.AuthenticationFailure,
    exceptions.SASLMechanismNotSupported,
    exceptions.SASLError,
    exceptions.SASLChallenge,
    exceptions.SASLAuthenticationFailureLoopback,
    exceptions.VirtualHostAccessFailure,
    exceptions.AccessRefused,
)
_AWAY = (exceptions.ServerError, exceptions.LeaderNotAvailable, connection.ConnectionClosed, OSError, TimeoutError)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what rstream and the network raise into Misconfigured or Unavailable, saying what we were `doing`."""
    try:
        yield
    except _REFUSED as error:
        raise Misconfigured(
            f"the broker refused us when {doing}: {reason_of(error)}; look at the broker's user, its password,"
            " its permissions and the vhost"
        ) from error
    except _AWAY as error:
        raise Unavailable("broker", f"{doing}: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """Return the error in words; rstream's errors have a name only."""
    return f"{type(error).__name__} {error}".strip()


class Link(Client):  # type: ignore[misc]  # mypy does not look into rstream
    """A connection for one stream. When `lost` is done, it says why, and the link is of no more use."""

    def __init__(self, settings: BrokerSettings, host: str, port: int, tls: ssl.SSLContext | None, name: str) -> None:
        super().__init__(
            host,
            port,
            ssl_context=tls,
            frame_max=FRAME_MAX,
            heartbeat=settings.heartbeat_s,
            connection_name=name,
            connection_closed_handler=lambda _: None,  # `_listener` below tells; without one rstream logs a traceback
        )
        self.stream = ""
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._settings = settings

    async def open_as(self) -> None:
        """Connect and log in."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self.start()
                self.add_handler(schema.MetadataUpdate, self._on_metadata_update, name=str(ONLY))
                self.add_handler(schema.Deliver, lambda _: None, name=str(ONLY))  # rstream queues by this number
                await self.authenticate(
                    self._settings.vhost, self._settings.username, self._settings.password.get_secret_value()
                )
        except ConnectionRefusedError:
            raise
        except (connection.ConnectionClosed, ConnectionError, ssl.SSLEOFError, TimeoutError) as error:
            # It hung up, or kept still.
            hint = perhaps_tls(BROKER_CA, spoken=self._settings.tls_ca is not None)
            raise ConnectionError(f"{reason_of(error)}; {hint}") from error

    async def sync_request(self, *args: Any, **options: Any) -> Any:
        """Send a request and return its answer. Raises what rstream makes of a refusal."""
        with heeding_cancels():
            return await super().sync_request(*args, **options)

    @property
    def advertised(self) -> tuple[str, int]:
        """The address under which this node wants to be known."""
        told: dict[str, Any] = self.server_properties or {}
        return str(told.get("advertised_host", self.host)), int(str(told.get("advertised_port", self.port)))

    async def next_chunk(self) -> Any:
        """Return the next `Deliver` frame. Raises Unavailable once everything before the loss was returned."""
        frame = await self._frames[ONLY].get()
        if frame is None:
            raise Unavailable("broker", self.lost.result())
        return frame

    async def follow(self, spec: Any, credit: int) -> None:
        """Start to receive chunks, at most `credit` of them before more credit is given."""
        await self.subscribe(self.stream, ONLY, schema.OffsetSpec.from_params(*spec), initial_credit=credit)

    async def first_offset(self) -> int | None:
        """Return the offset at which the first chunk begins, or None when the stream is empty.

        Where that is padding, it says itself where the first message stands; unless somebody made it up.
        """
        chunk = await self._chunk_at(OffsetType.FIRST)
        if chunk is None:
            return None
        first, raw = next(messages(chunk))
        until = padded_until(raw)
        return first if until is None else min(until, await self.last_offset() or first)

    async def last_offset(self) -> int | None:
        """Return the offset of the last message, or None when the stream is empty."""
        chunk = await self._chunk_at(OffsetType.LAST)
        return None if chunk is None else int(chunk.chunk_first_offset + chunk.num_records - 1)

    async def _chunk_at(self, where: OffsetType) -> Any:
        """Return the stream's first or last chunk, None when there is none.

        One process of the broker serves one connection: it sends the chunk while it answers the
        subscription, before it answers a later question. No chunk before that answer: an empty stream.
        """
        await self.follow((where, None), credit=1)
        await self.stream_exists(self.stream)
        chunk = None if self._frames[ONLY].empty() else await self.next_chunk()
        await self.unsubscribe(ONLY)
        return chunk

    async def last_publishing_id(self, publisher: str) -> int:
        """Return the highest publishing id that the broker stored for `publisher`; 0 for none."""
        question = schema.QueryPublisherSequence(self._corr_id_seq.next(), publisher_ref=publisher, stream=self.stream)
        answer = await self.sync_request(question, resp_schema=schema.QueryPublisherSequenceResponse)
        return int(answer.sequence)

    async def stop(self) -> None:
        """Take leave of the broker if it is there, and close the socket in any case."""
        try:
            if self.is_started and not self.lost.done():
                with suppress(*_AWAY):  # it is over in any case
                    async with asyncio.timeout(CLOSE_TIMEOUT_S):
                        bye = schema.Close(self._corr_id_seq.next(), code=1, reason="OK")
                        await self.sync_request(bye, resp_schema=schema.CloseResponse)
        finally:  # also for who is cancelled meanwhile
            tasks = self._end()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self) -> list[asyncio.Task[None]]:
        """End everything at once; return the tasks that are ending."""
        self._lose("closed by us")
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        # rstream leaves the socket of a broken connection open, and waits for ever on one that is half open.
        writer = self._conn._writer if self._conn else None  # noqa: SLF001
        if writer is not None:
            writer.transport.abort()
        return tasks

    async def _listener(self) -> None:
        try:
            await super()._listener()
            self._lose("the connection was closed")
        # A frame that rstream can't read ends its listener: whatever it was, nothing more will arrive here.
        except Exception as error:  # noqa: BLE001
            self._lose(f"a frame could not be read: {reason_of(error)}")

    async def _heartbeat_sender(self) -> None:
        """Send heartbeats, and doubt a connection on which nothing came for the time of two."""
        every = self._heartbeat or self._settings.heartbeat_s  # the broker may have asked for a shorter one
        while True:
            try:
                async with asyncio.timeout(every):
                    await self.send_frame(schema.Heartbeat())
                    if time.monotonic() - self._last_heartbeat > 2 * every:
                        await self.stream_exists(self.stream)  # is nobody there, or were we too busy to listen?
            except _AWAY as error:
                return self._lose(f"no sign of life for {3 * every} s ({reason_of(error)})")
            await asyncio.sleep(every / 2)

    def _on_metadata_update(self, frame: Any) -> None:
        self._lose(f"stream {frame.metadata_info.stream} moved, or was deleted")

    def _lose(self, why: str) -> None:
        if self.lost.done():
            return
        self._is_not_closed = False
        self.lost.set_result(why)
        self._frames[ONLY].put_nowait(None)
        for waiter in list(self._waiters.values()):
            if not waiter.done():
                waiter.set_exception(ConnectionResetError(why))
                waiter.exception()  # not every one is awaited


class Links:
    """Opens links to the node that serves a stream."""

    def __init__(self, settings: BrokerSettings, connection_name: str) -> None:
        self._settings = settings
        self._name = connection_name
        self._tls = trusting(settings.tls_ca, BROKER_CA) if settings.tls_ca else None
        self.heartbeat_s = settings.heartbeat_s

    @asynccontextmanager
    async def any_node(self, doing: str) -> AsyncIterator[Link]:
        """Hold a link to the configured address for questions that any node answers."""
        with translated(doing):
            link = await self._open(self._settings.host, self._settings.stream_port)
            try:
                async with asyncio.timeout(QUERY_TIMEOUT_S):
                    yield link
            finally:
                await link.stop()

    @asynccontextmanager
    async def of_stream(self, stream: str, doing: str) -> AsyncIterator[Link]:
        """Hold a link to the stream's leader for questions about the stream."""
        link = await self.open(stream, writing=True, doing=doing)
        try:
            with translated(doing):
                async with asyncio.timeout(QUERY_TIMEOUT_S):
                    yield link
        finally:
            await link.stop()

    async def open(self, stream: str, *, writing: bool, doing: str) -> Link:
        """Return a link to the stream's leader, or to a replica when only reading.

        Raises Unavailable, also when there is no such stream, and Misconfigured.
        """
        with translated(doing):
            link = await self._open(self._settings.host, self._settings.stream_port)
            try:
                leader, replicas = await link.query_leader_and_replicas(stream)
                node = leader if writing or not replicas else random.choice(replicas)
                if (node.host, node.port) != link.advertised:
                    await link.stop()
                    link = await self._open(node.host, node.port)
            except BaseException:
                await link.stop()
                raise
        link.stream = stream
        return link

    async def _open(self, host: str, port: int) -> Link:
        link = Link(self._settings, host, port, self._tls, self._name)
        try:
            with heeding_cancels():
                await link.open_as()
        except asyncio.CancelledError:  # whatever else went wrong
            await link.stop()
            raise
        except BaseException as error:
            await link.stop()
            if (reason := why_not(error, f"the broker at {host}:{port}", BROKER_CA)) is not None:
                raise Misconfigured(reason) from error
            raise
        return link
