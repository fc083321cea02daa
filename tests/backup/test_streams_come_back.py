"""Streams of a real broker come back on another one: holes, a lost head, publishers, and a broker that dies."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from rstream import Consumer

from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.streams.message import Delivery, Message
from labelstream.streams.ports import Retention
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.streams.rabbitmq_writer import RabbitWriter
from labelstream_cli.backup.archiving import Archiver
from labelstream_cli.backup.book import Limits, StreamBackup
from labelstream_cli.backup.folder import FolderBlobs
from labelstream_cli.backup.replaying import Replay
from labelstream_cli.reaching import stored
from labelstream_local.rabbitmq import RabbitServer

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

PATIENCE_S = 120


@asynccontextmanager
async def at(server: RabbitServer) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(server.settings, Health(), "test of backups")
    try:
        yield broker
    finally:
        await broker.close()


async def remember_offset(settings: BrokerSettings, stream: str, offset: int) -> None:
    """Have the broker write a record of its own into the stream, as consumers that store offsets do."""
    login: dict[str, Any] = {"host": settings.host, "port": settings.stream_port, "username": settings.username}
    async with Consumer(**login, password=settings.password.get_secret_value()) as consumer:
        await consumer.store_offset(stream, "somebody", offset)
        async with asyncio.timeout(PATIENCE_S):
            while await consumer.query_offset(stream, "somebody") != offset:
                pass


async def archived(files: FolderBlobs, broker: RabbitBroker, stream: str, names: tuple[str, ...]) -> StreamBackup:
    publishers = {name: await broker.last_publishing_id(stream, name) for name in names}
    end = await broker.last_offset(stream)
    archiver = Archiver(files, broker, StreamBackup(stream=stream))
    await archiver.begin()
    await archiver.read_to(-1 if end is None else end)
    return (await archiver.finish()).model_copy(update={"publishers": publishers})


async def everything(broker: RabbitBroker, stream: str) -> list[Delivery]:
    return [one async for deliveries in stored(broker, stream) for one in deliveries]


def places(deliveries: list[Delivery]) -> list[tuple[int, bytes]]:
    return [(one.offset, one.raw) for one in deliveries]


@pytest.fixture
def stream() -> str:
    return f"backup-{uuid.uuid4().hex}"


@pytest.fixture
def files(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "backup")


async def test_holes_that_the_broker_made_come_back(
    rabbitmq: RabbitServer, fresh_rabbitmq: RabbitServer, stream: str, files: FolderBlobs
) -> None:
    async with at(rabbitmq) as old, at(fresh_rabbitmq) as new:
        await old.ensure_stream(stream)
        for round_ in range(4):
            for name in ("one", "two", "three"):
                numbers = range(round_ * 50 + 1, round_ * 50 + 51)
                await old.publisher(stream, name).publish(
                    [(n, Message(b"%d of %s" % (n, name.encode()))) for n in numbers]
                )
            await remember_offset(rabbitmq.settings, stream, round_)
        backup = await archived(files, old, stream, ("one", "two", "three"))
        there = await everything(old, stream)
        assert there[-1].offset >= len(there)  # there are holes

        await Replay(files, new, RabbitWriter(fresh_rabbitmq.settings, stream, "test"), backup).run()

        assert places(await everything(new, stream)) == places(there)
        assert await new.last_offset(stream) == await old.last_offset(stream)
        await new.publisher(stream, "two").publish([(200, Message(b"a repeat"))])
        assert len(await everything(new, stream)) == len(there)
        await new.publisher(stream, "two").publish([(201, Message(b"new"))])
        assert (await everything(new, stream))[-1].offset == there[-1].offset + 1


async def test_a_stream_of_many_segments_gets_no_holes_of_its_own(
    rabbitmq: RabbitServer, fresh_rabbitmq: RabbitServer, stream: str, files: FolderBlobs
) -> None:
    limits = Limits(max_bytes=40_000_000)
    async with at(rabbitmq) as old, at(fresh_rabbitmq) as new:
        await old.ensure_stream(stream, limits.retention)
        publisher = old.publisher(stream, "writer")
        for number in range(1, 301):  # 30 MB in segments of 10 MB: where one begins, the broker notes its publishers
            await publisher.publish([(number, Message(b"%03d" % number + bytes(100_000)))])
        there = await everything(old, stream)
        assert there[-1].offset > len(there) - 1
        backup = (await archived(files, old, stream, ("writer",))).model_copy(update={"limits": limits})
        smaller = backup.model_copy(update={"limits": Limits(max_bytes=36_000_000)})  # other edges than before

        await Replay(files, new, RabbitWriter(fresh_rabbitmq.settings, stream, "test"), smaller).run()

        assert places(await everything(new, stream)) == places(there)
        assert await new.last_publishing_id(stream, "writer") == 300


async def test_a_head_that_retention_removed_stays_removed(
    rabbitmq: RabbitServer, fresh_rabbitmq: RabbitServer, stream: str, files: FolderBlobs
) -> None:
    async with at(rabbitmq) as old, at(fresh_rabbitmq) as new:
        await old.ensure_stream(stream, Retention(max_bytes=4_000_000))
        publisher = old.publisher(stream, "writer")
        for number in range(1, 121):
            await publisher.publish([(number, Message(b"%03d" % number + bytes(100_000)))])
        async with asyncio.timeout(PATIENCE_S):
            while not await old.first_offset(stream):  # noqa: ASYNC110  nothing here could set an event
                await asyncio.sleep(0.2)
        backup = await archived(files, old, stream, ("writer",))
        first = backup.first
        assert first is not None
        assert first > 0

        await Replay(files, new, RabbitWriter(fresh_rabbitmq.settings, stream, "test"), backup).run()

        assert await new.first_offset(stream) == first
        there = await everything(new, stream)
        assert (there[0].offset, there[-1].offset) == (first, backup.end)
        reader = new.reader(stream, 0)
        assert (await reader.read(1, wait_s=60))[0].offset == first
        await reader.close()


async def test_a_head_of_millions_takes_little_room(fresh_rabbitmq: RabbitServer, stream: str) -> None:
    async with at(fresh_rabbitmq) as broker:
        await broker.ensure_stream(stream)
        writer = RabbitWriter(fresh_rabbitmq.settings, stream, "test")
        gap = 2_000_003
        left = gap
        while left:
            taken = min(left, 65_535)
            await writer.skip(taken, gap)
            left -= taken
        await writer.append([b"the first message"])
        await writer.close()
        assert await broker.first_offset(stream) == gap
        assert places(await everything(broker, stream)) == [(gap, b"the first message")]
        stored_bytes = sum(
            path.stat().st_size for path in fresh_rabbitmq.base_dir.rglob("*.segment") if stream in str(path)
        )
        assert 0 < stored_bytes < 10_000_000


async def test_strange_bytes_come_back(
    rabbitmq: RabbitServer, fresh_rabbitmq: RabbitServer, stream: str, files: FolderBlobs
) -> None:
    strange = [b"x", b"\x00", bytes(range(256)), bytes(700_000), b"\x80\x00", b""]
    async with at(rabbitmq) as old, at(fresh_rabbitmq) as new:
        await old.ensure_stream(stream)
        writer = RabbitWriter(rabbitmq.settings, stream, "test")
        await writer.append(strange)
        await writer.close()
        backup = await archived(files, old, stream, ())
        await Replay(files, new, RabbitWriter(fresh_rabbitmq.settings, stream, "test"), backup).run()
        assert places(await everything(new, stream)) == list(enumerate(strange))


async def test_a_broker_that_dies_in_the_middle_repeats_nothing(
    rabbitmq: RabbitServer, fresh_rabbitmq: RabbitServer, stream: str, files: FolderBlobs
) -> None:
    async with at(rabbitmq) as old, at(fresh_rabbitmq) as new:
        await old.ensure_stream(stream)
        publisher = old.publisher(stream, "writer")
        await publisher.publish([(n, Message(b"%06d" % n + bytes(3000))) for n in range(1, 20_001)])
        backup = await archived(files, old, stream, ("writer",))
        replay = Replay(files, new, RabbitWriter(fresh_rabbitmq.settings, stream, "test"), backup)
        restoring = asyncio.create_task(replay.run())
        async with asyncio.timeout(PATIENCE_S):
            while await end_of(new, stream) <= 2000:  # noqa: ASYNC110  nothing here could set an event
                await asyncio.sleep(0.01)
        await asyncio.to_thread(fresh_rabbitmq.kill)
        assert not restoring.done()
        await asyncio.to_thread(fresh_rabbitmq.restart)
        await asyncio.wait_for(restoring, PATIENCE_S)
        assert places(await everything(new, stream)) == places(await everything(old, stream))
        assert await new.last_publishing_id(stream, "writer") == 20_000


async def end_of(broker: RabbitBroker, stream: str) -> int:
    try:
        return await broker.last_offset(stream) or -1
    except Exception:  # noqa: BLE001  it is not there yet
        return -1
