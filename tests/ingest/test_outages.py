"""Servers go away and come back, and streams change under the service: it waits, says so, and loses nothing."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image
from rstream import Producer

from labelstream.events.annotation import AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.service.health import Health
from labelstream.streams.amqp import encode
from labelstream.streams.ports import Retention
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.wire import native
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.reports import Report, ask
from labelstream_local.seaweedfs import WeedServer

from . import deadly
from .program import INPUT, Program, everything_in, until_answered
from .undisturbed import receipts_in
from .writing import write

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(300)]

STREAM = str(INPUT["stream"])
PATIENCE_S = 120
BOX = {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}


@pytest.fixture
def program(fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path) -> Iterator[Program]:
    """The service, ended with the test."""
    made = Program(tmp_path, fresh_rabbitmq.settings, fresh_seaweedfs.settings, more={"INGEST__CHECK_INPUT_S": "0.5"})
    yield made
    if made.running:
        made.kill()


@asynccontextmanager
async def onlooker(rabbit: RabbitServer) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(rabbit.settings, Health(), "onlooker")
    yield broker
    await broker.close()


def pictures(first: int, count: int) -> list[bytes]:
    """Return encoded creations."""
    return [encode(native.write(f"n{i}", _picture(i), [BOX], message_id=f"m{i}")) for i in range(first, first + count)]


def _picture(seed: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (seed % 256, seed // 256 % 256, 99)).save(file, "PNG")
    return file.getvalue()


async def report(program: Program, holds: Callable[[Report], bool]) -> Report:
    """Return what /readyz says, once it says so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            said = await asyncio.to_thread(ask, program.url)
            if said is not None and holds(said):
                return said
            await asyncio.sleep(0.1)


def waiting_seconds(program: Program, what: str) -> float | None:
    """Return the metric."""
    text = httpx.get(f"{program.url}/metrics", timeout=60).text
    found = re.search(rf'^labelstream_waiting_seconds{{what="{what}"}} (\S+)', text, re.MULTILINE)
    return float(found[1]) if found else None


async def settle(broker: RabbitBroker, offsets: list[int] | None = None) -> list[AnnotationSettled]:
    """Return all receipts: one for each message, in order."""
    inputs = await everything_in(broker, STREAM)
    await until_answered(broker, len(inputs) if offsets is None else len(offsets))
    receipts = receipts_in(await everything_in(broker, ANNOTATION_EVENTS))
    assert [one.input.offset for one in receipts] == ([one.offset for one in inputs] if offsets is None else offsets)
    return receipts


@pytest.mark.parametrize("away", [("broker",), ("object store",), ("broker", "object store")], ids=" and ".join)
async def test_it_waits_while_others_are_away_and_says_for_what(
    program: Program, fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, away: tuple[str, ...]
) -> None:
    servers = {"broker": fresh_rabbitmq, "object store": fresh_seaweedfs}
    async with onlooker(fresh_rabbitmq) as broker:
        await broker.ensure_stream(STREAM)
        program.start()
        await report(program, lambda said: said.ready)
        await write(fresh_rabbitmq.settings, STREAM, pictures(0, 50))
        await until_answered(broker, 5)
        for what in away:
            await asyncio.to_thread(servers[what].kill)
        if "broker" not in away:
            await write(fresh_rabbitmq.settings, STREAM, pictures(50, 50))
        said = await report(program, lambda said: not said.ready and away[0] in said.waiting)
        assert said.waiting[away[0]]["reason"]
        assert waiting_seconds(program, away[0]) is not None
        for what in away:
            await asyncio.to_thread(servers[what].restart)
        await report(program, lambda said: said.ready)
        await write(fresh_rabbitmq.settings, STREAM, pictures(100, 10))
        receipts = await settle(broker)
        program.stop()
    assert {outcome.outcome for one in receipts for outcome in one.outcomes} == {"recorded"}


async def test_a_message_at_which_the_process_ends_is_parked_at_the_third_death_alone(
    program: Program, fresh_rabbitmq: RabbitServer
) -> None:
    program.runs = (deadly.__file__,)
    killer = encode(native.write("killer", _picture(1) + deadly.MARK, [BOX], message_id="killer"))
    messages = [*pictures(0, 8), killer, *pictures(8, 8)]
    async with onlooker(fresh_rabbitmq) as broker:
        await broker.ensure_stream(STREAM)
        await write(fresh_rabbitmq.settings, STREAM, messages)
        deaths = 0
        program.start()
        async with asyncio.timeout(PATIENCE_S):
            while (await broker.last_offset(ANNOTATION_EVENTS) if deaths else None) != len(messages) - 1:
                await asyncio.sleep(0.1)
                if not program.running:
                    deaths += 1
                    program.start()
        said = await report(program, lambda said: said.ready)
        receipts = await settle(broker)
        (parked,) = await everything_in(broker, "parked.annotation-ingest")
        program.stop()
    assert deaths == 4  # among others, then three times alone
    (refused,) = [o.rejection for one in receipts for o in one.outcomes if o.rejection]
    assert (refused.rule, refused.parked.offset) == ("internal.killed_service", parked.offset)
    assert [one for one in said.degraded.values() if "parked" in one]


async def test_an_idle_service_notices_a_stream_that_was_deleted_and_created_anew(
    program: Program, fresh_rabbitmq: RabbitServer
) -> None:
    async with onlooker(fresh_rabbitmq) as broker:
        await broker.ensure_stream(STREAM)
        await write(fresh_rabbitmq.settings, STREAM, pictures(0, 5))
        program.start()
        await until_answered(broker, 5)
        await delete(fresh_rabbitmq, STREAM)
        await report(program, lambda said: f"input {STREAM}" in said.waiting)
        await broker.ensure_stream(STREAM)
        await write(fresh_rabbitmq.settings, STREAM, pictures(100, 3))
        await report(program, lambda said: "created anew" in said.waiting.get(f"input {STREAM}", {}).get("reason", ""))
        await write(fresh_rabbitmq.settings, STREAM, pictures(103, 30))
        said = await report(program, lambda said: "is not the one" in str(said.waiting.get(f"input {STREAM}")))
        assert not said.ready
        assert len(receipts_in(await everything_in(broker, ANNOTATION_EVENTS))) == 5


async def test_a_gap_that_retention_tore_is_said_and_the_rest_is_answered(
    program: Program, fresh_rabbitmq: RabbitServer
) -> None:
    async with onlooker(fresh_rabbitmq) as broker:
        await broker.ensure_stream(STREAM, Retention(max_bytes=4_000_000))
        await write(fresh_rabbitmq.settings, STREAM, pictures(0, 5))
        program.start()
        await until_answered(broker, 5)
        program.stop()
        await write(fresh_rabbitmq.settings, STREAM, [bytes([n]) * 100_000 for n in range(100)], at_once=5)
        first = None
        async with asyncio.timeout(PATIENCE_S):
            while not first or first != await broker.first_offset(STREAM):  # it may go on for a while
                first = await broker.first_offset(STREAM)
                await asyncio.sleep(2)
        program.start()
        said = await report(program, lambda said: said.ready)
        await settle(broker, [*range(5), *range(first, 105)])
        assert said.degraded[f"gap in {STREAM}"] == f"offsets 5 to {first - 1} were removed before they were read"
        gap = re.search(r"^labelstream_ingest_gap_messages_total\S* (\S+)", metrics(program), re.MULTILINE)
        assert gap is not None
        assert float(gap[1]) == first - 5
        program.stop()


def metrics(program: Program) -> str:
    return httpx.get(f"{program.url}/metrics", timeout=60).text


async def delete(rabbit: RabbitServer, stream: str) -> None:
    settings = rabbit.settings
    login = {"host": settings.host, "port": settings.stream_port, "username": settings.username}
    async with Producer(**login, password=settings.password.get_secret_value()) as producer:
        await producer.delete_stream(stream)
