"""Writing one stream of RabbitMQ under one publisher name: nothing counts as stored without its confirm."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from rstream import exceptions, schema

from labelstream.errors import Misconfigured, Unavailable
from labelstream.streams.amqp import encode_all
from labelstream.streams.message import Message
from labelstream.streams.rabbitmq_link import ONLY, Link, Links, translated
from labelstream.streams.rabbitmq_recovery import Recovery

MOST_MESSAGES = 100  # in one frame
MOST_BYTES = 900_000  # in one frame: under the broker's usual limit of 1 MiB
OVERHEAD = 12  # bytes that a frame adds to each message

Batch = list[tuple[int, bytes]]


def batches(messages: Batch) -> Iterator[Batch]:
    """Cut encoded messages into what goes into one frame each."""
    batch: Batch = []
    size = 0
    for publishing_id, raw in messages:
        if batch and (len(batch) == MOST_MESSAGES or size + len(raw) + OVERHEAD > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((publishing_id, raw))
        size += len(raw) + OVERHEAD
    if batch:
        yield batch


class Confirms:
    """The publishing ids of one batch that the broker has yet to confirm."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._all: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def expect(self, ids: set[int]) -> asyncio.Future[None]:
        """Return a future that is done when all `ids` are confirmed, and fails when one is refused."""
        self._open = ids
        self._all = asyncio.get_running_loop().create_future()
        return self._all

    def confirmed(self, frame: Any) -> None:
        """Take note of a `PublishConfirm`."""
        self._open.difference_update(frame.publishing_ids)
        if not self._open and not self._all.done():
            self._all.set_result(None)

    def refused(self, frame: Any) -> None:
        """Take note of a `PublishError`."""
        for error in frame.errors:
            if error.publishing_id in self._open and not self._all.done():
                self._all.set_exception(exceptions.ServerError.from_code(error.response_code)())


class RabbitPublisher:
    """Sends one batch at a time and, until all of it is confirmed, the same batch with the same ids again.

    One at a time, because the broker drops ids below the last one stored: were a batch refused and the
    next one stored, the first could never be.
    """

    def __init__(self, links: Links, stream: str, name: str, recovery: Recovery) -> None:
        self.name = name
        self._links = links
        self._stream = stream
        self._doing = f"publishing to {stream} as {name}"
        self._recovery = recovery
        self._confirm_timeout_s = 2.0 * links.heartbeat_s
        self._link: Link | None = None
        self._confirms = Confirms()
        self._one_call = asyncio.Lock()

    async def publish(self, messages: Sequence[tuple[int, Message]]) -> None:
        """Store the messages; return when all are confirmed. Raises Misconfigured when refused."""
        encoded = encode_all(messages)
        async with self._one_call:
            for batch in batches(encoded):
                await self._store(batch)

    async def close(self) -> None:
        """Release the connection."""
        self._recovery.given_up()
        if self._link is not None:
            await self._link.stop()
            self._link = None

    async def _store(self, batch: Batch) -> None:
        while True:
            try:
                await self._send(await self._linked(), batch)
                return self._recovery.recovered()
            except Unavailable as error:
                await self.close()
                await self._recovery.wait(error)

    async def _linked(self) -> Link:
        if self._link is not None and self._link.lost.done():
            raise Unavailable("broker", self._link.lost.result())
        if self._link is None:
            link = await self._links.open(self._stream, writing=True, doing=self._doing)
            try:
                await self._declare(link)
            except BaseException:
                await link.stop()
                raise
            self._link = link
        return self._link

    async def _declare(self, link: Link) -> None:
        self._confirms = Confirms()
        link.add_handler(schema.PublishConfirm, self._confirms.confirmed, name=str(ONLY))
        link.add_handler(schema.PublishError, self._confirms.refused, name=str(ONLY))
        with translated(self._doing):
            await link.declare_publisher(stream=self._stream, reference=self.name, publisher_id=ONLY)

    async def _send(self, link: Link, batch: Batch) -> None:
        confirmed = self._confirms.expect({publishing_id for publishing_id, _ in batch})
        frame = schema.Publish(
            publisher_id=ONLY,
            messages=[
                schema.Message(publishing_id=publishing_id, filter_value=None, data=raw) for publishing_id, raw in batch
            ],
        )
        with translated(self._doing):
            async with asyncio.timeout(self._confirm_timeout_s):
                await link.send_publish_frame(frame)
                await asyncio.wait((confirmed, link.lost), return_when=asyncio.FIRST_COMPLETED)
            if confirmed.done():
                return confirmed.result()
        self._check_size(link, sum(len(raw) + OVERHEAD for _, raw in batch))
        raise Unavailable("broker", link.lost.result())

    def _check_size(self, link: Link, size: int) -> None:
        """Tell a batch that the broker hung up on for its size: it would never go through."""
        if 0 < link.frame_max < size:
            raise Misconfigured(
                f"a message of {size} bytes for {self._stream} lost the connection, and the broker's limit is"
                f" {link.frame_max}: raise stream.frame_max in rabbitmq.conf"
            )
