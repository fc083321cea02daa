"""Writing a stream of RabbitMQ anew, as `restoring` wants it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from typing import Any

from rstream import schema

from labelstream.errors import Unavailable
from labelstream.service.settings import BrokerSettings
from labelstream.streams.padding import padding
from labelstream.streams.rabbitmq_chunk import GZIP, GZIP_FORMAT, SUB_BATCH
from labelstream.streams.rabbitmq_link import ONLY, Link, Links, translated
from labelstream.streams.rabbitmq_publisher import MOST_BYTES, Confirms, batches
from labelstream.streams.restoring import MOST_SKIPPED

NOBODY = ""  # the publisher name of whoever wants no repeats dropped
CONFIRM_S = 60.0


class RabbitWriter:
    """The one writer of a stream that is being restored (see restoring.StreamWriter)."""

    def __init__(self, settings: BrokerSettings, stream: str, connection_name: str) -> None:
        self._links = Links(settings, connection_name)
        self._stream = stream
        self._doing = f"restoring {stream}"
        self._link: Link | None = None
        self._confirms = Confirms()
        self._declared: str | None = None
        self._number = 0  # tells the confirms of a nameless publisher apart

    async def append(self, raws: Sequence[bytes]) -> None:
        """Store messages without a publisher name, a frame at a time."""
        for batch in batches([(0, raw) for raw in raws]):
            await self._send(NOBODY, [(self._next(), raw) for _, raw in batch])

    async def skip(self, count: int, until: int) -> None:
        """Take `count` offsets with one compressed batch of padding."""
        if not 1 <= count <= MOST_SKIPPED:
            raise ValueError(f"one frame takes 1 to {MOST_SKIPPED} offsets, and not {count}")
        await self._send_packed(NOBODY, self._next(), [padding(until)] * count)

    async def append_as(self, publisher: str, publishing_id: int, raw: bytes) -> None:
        """Store one message under a publisher's name and id."""
        await self._send(publisher, [(publishing_id, raw)])

    async def close(self) -> None:
        """Release the connection."""
        link, self._link, self._declared = self._link, None, None
        if link is not None:
            await link.stop()

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _send(self, publisher: str, batch: list[tuple[int, bytes]]) -> None:
        number, raw = batch[0]
        if len(raw) > MOST_BYTES:  # it came in a compressed batch, and may be too large for a frame otherwise
            return await self._send_packed(publisher, number, [raw])
        link = await self._linked(publisher)
        messages = [schema.Message(publishing_id=number, filter_value=None, data=raw) for number, raw in batch]
        sending = link.send_publish_frame(schema.Publish(publisher_id=ONLY, messages=messages))
        return await self._confirmed(link, {number for number, _ in batch}, sending)

    async def _send_packed(self, publisher: str, number: int, raws: Sequence[bytes]) -> None:
        """Store messages as one compressed entry: to the broker it is one message that takes many offsets."""
        plain = b"".join(len(raw).to_bytes(4, "big") + raw for raw in raws)
        packer = zlib.compressobj(wbits=GZIP_FORMAT)
        packed = packer.compress(plain) + packer.flush()
        frame = schema.PublishSubBatching(
            publisher_id=ONLY,
            number_of_root_messages=1,
            publishing_id=number,
            compress_type=SUB_BATCH | GZIP << 4,
            subbatching_message_count=len(raws),
            uncompressed_data_size=len(plain),
            compressed_data_size=len(packed),
            messages=packed,
        )
        link = await self._linked(publisher)
        await self._confirmed(link, {number}, link.send_frame(frame))

    async def _confirmed(self, link: Link, numbers: set[int], sending: Any) -> None:
        confirmed = self._confirms.expect(numbers)
        with translated(self._doing):
            async with asyncio.timeout(CONFIRM_S):
                await sending
                await asyncio.wait((confirmed, link.lost), return_when=asyncio.FIRST_COMPLETED)
            if confirmed.done():
                return confirmed.result()
        raise Unavailable("broker", link.lost.result())

    async def _linked(self, publisher: str) -> Link:
        """Return the connection, with `publisher` declared on it."""
        if self._link is not None and self._link.lost.done():
            raise Unavailable("broker", self._link.lost.result())
        if self._link is None:
            self._link = await self._links.open(self._stream, writing=True, doing=self._doing)
            self._link.add_handler(schema.PublishConfirm, self._on_confirm, name=str(ONLY))
            self._link.add_handler(schema.PublishError, self._on_error, name=str(ONLY))
        if self._declared != publisher:
            with translated(self._doing):
                if self._declared is not None:
                    await self._link.delete_publisher(ONLY)
                self._declared = None
                self._confirms = Confirms()
                await self._link.declare_publisher(stream=self._stream, reference=publisher, publisher_id=ONLY)
            self._declared = publisher
        return self._link

    def _on_confirm(self, frame: Any) -> None:
        self._confirms.confirmed(frame)

    def _on_error(self, frame: Any) -> None:
        self._confirms.refused(frame)
