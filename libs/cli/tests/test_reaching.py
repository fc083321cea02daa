"""Reading a stream from end to end, and holding off a second command."""

import asyncio
import uuid
from dataclasses import dataclass

import pytest

from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.message import Delivery, Message
from labelstream.streams.ports import Reader, Start
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_cli.reaching import one_at_a_time, require_stream, stored
from labelstream_cli.running import CommandFailed
from labelstream_local.rabbitmq import RabbitServer


@dataclass
class Silent:
    """A reader whose broker went away."""

    attached: int = 1

    async def read(self, at_most: int = 100, wait_s: float = 1.0) -> list[Delivery]:  # noqa: ARG002  # the port's
        await asyncio.sleep(0)
        return []

    async def close(self) -> None:
        pass


class GoneAway(MemoryBroker):
    """A broker that tells where a stream ends, and then gives nothing of it."""

    def reader(self, stream: str, start: Start) -> Reader:  # noqa: ARG002  # the port's
        return Silent()


@pytest.mark.parametrize("kind", [MemoryBroker, GoneAway])
async def test_what_is_stored_is_read_to_its_end_and_a_broker_that_goes_away_is_not_waited_for_without_end(
    kind: type[MemoryBroker],
) -> None:
    broker = kind()
    await broker.ensure_stream("s")
    await broker.publisher("s", "p").publish([(number, Message(b"m")) for number in (1, 2, 3)])

    async def offsets() -> list[int]:
        return [one.offset async for some in stored(broker, "s", patience_s=0.01) for one in some]

    if kind is MemoryBroker:
        assert await offsets() == [0, 1, 2]
    else:
        with pytest.raises(CommandFailed, match="the broker gave nothing of s"):
            await offsets()


def test_a_second_command_that_does_the_same_is_held_off_until_the_first_has_ended() -> None:
    broker = BrokerSettings(host="a.test", username="u", password="p")
    with one_at_a_time(broker, "testing"):
        with pytest.raises(CommandFailed, match="another command is testing"), one_at_a_time(broker, "testing"):
            pass
        with one_at_a_time(broker, "something else"):
            pass
    with one_at_a_time(broker, "testing"):
        pass


@pytest.mark.broker
async def test_a_stream_that_does_not_exist_is_said_before_anything_is_done(rabbitmq: RabbitServer) -> None:
    broker = RabbitBroker(rabbitmq.settings, Health(), "test")
    there = f"there-{uuid.uuid4().hex}"
    try:
        await broker.ensure_stream(there)
        await require_stream(broker, there)
        with pytest.raises(CommandFailed, match="there is no stream 'nosuch'"):
            await require_stream(broker, "nosuch")
    finally:
        await broker.close()
