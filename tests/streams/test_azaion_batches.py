"""Azaion's platform sends gzip-compressed sub-entry batches: each message in one is read as any other."""

from __future__ import annotations

from typing import Any

import pytest
from rstream import CompressionType

from labelstream.streams.amqp import decode, encode
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.wire.azaion_writer import AzaionWriter
from labelstream.wire.reading import read_submission
from labelstream.wire.submission import RawBox

pytestmark = pytest.mark.broker

DETECTION = {"cls": 21, "x": 0.5, "y": 0.4, "w": 0.2, "h": 0.1}


async def test_the_messages_of_a_gzip_batch_are_read_in_order_at_offsets_of_their_own(
    broker: RabbitBroker, foreigner: Any, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    writers = [AzaionWriter(form="array"), AzaionWriter(form="map", casing=str.lower)]
    names = [f"frame-{number}" for number in range(40)]
    created = [writers[n % 2].created(name, name.encode() * 500, [DETECTION]) for n, name in enumerate(names)]
    follow = [writers[1].edited(names[0], []), writers[0].validated(names), writers[1].deleted(names[:2])]

    await foreigner.write_packed(stream, [encode(message) for message in created], CompressionType.Gzip)
    await foreigner.write_packed(stream, [encode(message) for message in follow], CompressionType.Gzip)

    deliveries = await reading.some(broker.reader(stream, "first"), len(created) + len(follow))
    read = [read_submission(decode(delivery.raw)) for delivery in deliveries]
    assert [delivery.offset for delivery in deliveries] == list(range(len(deliveries)))
    assert [one.kind for one in read] == ["created"] * 40 + ["edited", "validated", "deleted"]
    assert [one.names for one in read] == [(name,) for name in names] + [(names[0],), tuple(names), tuple(names[:2])]
    assert [one.image for one in read[:40]] == [name.encode() * 500 for name in names]
    assert {one.boxes for one in read[:40]} == {(RawBox(21, 0.5, 0.4, 0.2, 0.1),)}


async def test_reading_resumes_inside_a_gzip_batch(
    broker: RabbitBroker, foreigner: Any, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    messages = [encode(AzaionWriter().narrow(f"frame-{number}")) for number in range(10)]
    await foreigner.write_packed(stream, messages, CompressionType.Gzip)

    deliveries = await reading.some(broker.reader(stream, 7), 3)

    assert [delivery.offset for delivery in deliveries] == [7, 8, 9]
    assert [read_submission(decode(d.raw)).names for d in deliveries] == [(f"frame-{n}",) for n in (7, 8, 9)]
