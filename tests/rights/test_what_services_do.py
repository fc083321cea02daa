"""On an empty broker, each user does what its program does, with the program's own code: the rights are enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import pytest

from labelstream.annotating import QUEUE as JOBS_ANNOTATE
from labelstream.errors import Misconfigured, Unavailable
from labelstream.jobs.ports import Job
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.model_requests import GRANTS_QUEUE
from labelstream.model_requests import QUEUE as MODEL_REQUESTS
from labelstream.parked import INGEST as PARKED
from labelstream.producer import Producer
from labelstream.service.health import Health
from labelstream.streams.journal import Journal
from labelstream.streams.message import Message
from labelstream.streams.ports import Retention
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.training_requests import QUEUE as TRAINING_REQUESTS
from labelstream_local.rabbitmq import RabbitServer

from .trying import connected

pytestmark = pytest.mark.broker

JOB = Job(project="default", id="a-job")
PATIENCE_S = 30.0


@asynccontextmanager
async def streams_of(node: RabbitServer, user: str) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(node.settings_of(user), Health(), user)
    try:
        yield broker
    finally:
        await broker.close()


@asynccontextmanager
async def queues_of(node: RabbitServer, user: str, *, declares: bool = True) -> AsyncIterator[RabbitJobQueue]:
    queue = RabbitJobQueue(node.settings_of(user), Health(), user, declares=declares)
    try:
        yield queue
    finally:
        await queue.close()


@pytest.mark.parametrize(
    ("stream", "writer", "readers"),
    [
        ("annotation-events", "annotation-ingest", ("augmenter", "trainer")),
        ("batch-events", "augmenter", ("trainer",)),
        ("training-events", "trainer", ("exporter",)),
        ("model-events", "exporter", ("trainer", "exporter-serve", "inference")),
        ("access-events", "exporter", ("exporter-serve",)),
        ("serving-events", "inference", ()),
    ],
)
async def test_readers_wait_for_a_stream_until_its_writer_makes_it(
    node: RabbitServer, stream: str, writer: str, readers: tuple[str, ...]
) -> None:
    for reader in readers:
        async with streams_of(node, reader) as broker:
            with pytest.raises(Unavailable, match=f"no stream {stream} yet"):
                await broker.ensure_stream(stream)
    async with streams_of(node, writer) as broker:
        journal = Journal(broker, stream, [writer], lambda *_: None, Health())
        assert await journal.open() == {writer: 0}
        await journal.close()
        await broker.publisher(stream, "a test").publish([(1, Message(b"1"))])
    for reader in readers:
        async with streams_of(node, reader) as broker:
            await broker.ensure_stream(stream)
            assert await broker.last_offset(stream) == 0
            (delivery,) = await broker.reader(stream, "first").read(wait_s=PATIENCE_S)
            assert delivery.offset == 0


async def test_a_reader_is_not_told_of_the_retention_that_it_did_not_expect(node: RabbitServer) -> None:
    async with streams_of(node, "annotation-ingest") as broker:
        await broker.ensure_stream(PARKED, Retention(max_bytes=10_000_000))
        with pytest.raises(Misconfigured, match="another retention"):
            await broker.ensure_stream(PARKED, Retention(max_bytes=20_000_000))


async def test_the_public_api_adds_to_the_audit_log_which_it_can_not_remove(node: RabbitServer) -> None:
    async with streams_of(node, "exporter") as broker:
        await broker.ensure_stream("access-events")
    async with streams_of(node, "exporter-serve") as broker:
        journal = Journal(broker, "access-events", ["exporter-serve.one"], lambda *_: None, Health())
        end = await broker.last_offset("access-events")
        await journal.open("first" if end is None else end + 1)
        await journal.close()
        await broker.publisher("access-events", "exporter-serve.one").publish([(1, Message(b"1"))])


@pytest.mark.parametrize("project", ["default", "harbour"])
async def test_a_producer_pushes_to_each_project_and_may_read_receipts(node: RabbitServer, project: str) -> None:
    stream = "annotations" if project == "default" else f"annotations.{project}"
    async with streams_of(node, "annotation-ingest") as broker:
        for one in ("annotation-events", stream):
            await broker.ensure_stream(one, None)
    settings = node.settings_of("producer")
    async with Producer.connect(settings, stream, "a platform", timeout_s=PATIENCE_S) as producer:
        await producer.submit(name="a", image=None, boxes=[])
    async with streams_of(node, "annotation-ingest") as broker:
        assert await broker.last_offset(stream) == 0


async def test_a_producer_is_told_plainly_that_it_may_not_write_elsewhere(node: RabbitServer) -> None:
    async with streams_of(node, "annotation-ingest") as broker:
        await broker.ensure_stream("annotations-ai", None)
    with pytest.raises(Misconfigured, match="permissions"):
        await Producer.connect(
            node.settings_of("producer"), "annotations-ai", receipts=False, timeout_s=PATIENCE_S
        ).__aenter__()


@pytest.mark.parametrize("stream", ["annotations-ai", "annotations-ai.harbour"])
async def test_the_annotating_worker_proposes(node: RabbitServer, stream: str) -> None:
    async with streams_of(node, "annotation-ingest") as broker:
        await broker.ensure_stream(stream, None)
    async with (
        streams_of(node, "inference-annotate") as broker,
        Producer(broker, stream, "annotate.one", receipts=False, timeout_s=PATIENCE_S) as producer,
    ):
        await producer.submit(name="a", image=None, boxes=[])


@pytest.mark.parametrize(
    ("queue", "putter", "taker"),
    [
        ("jobs.augment", "augmenter", "augmenter-work"),
        ("jobs.train", "trainer", "trainer-work"),
        ("jobs.export.onnx", "exporter", "exporter-work"),
        ("jobs.export.tensorrt.sm_90", "exporter", "exporter-work"),
        (JOBS_ANNOTATE, "operator", "inference-annotate"),
        (TRAINING_REQUESTS, "operator", "trainer"),
        (MODEL_REQUESTS, "operator", "exporter"),
    ],
)
async def test_what_one_puts_the_other_takes_and_what_is_no_job_goes_to_the_dead(
    node: RabbitServer, queue: str, putter: str, taker: str
) -> None:
    async with queues_of(node, taker) as taking, queues_of(node, putter) as putting:
        assert await taking.take(queue, wait_s=0) is None  # whoever comes first declares the queue
        await _put_what_is_no_job(node, queue)
        await putting.put(queue, JOB)
        taken = await taking.take(queue, wait_s=PATIENCE_S)
        assert taken is not None
        await taken.done()
    assert await _dead_of(node) == queue


async def test_a_worker_hands_back_what_it_must_not_do(node: RabbitServer) -> None:
    async with queues_of(node, "augmenter-work") as worker:
        await worker.put("jobs.augment", JOB)
        taken = await worker.take("jobs.augment", wait_s=PATIENCE_S)
        assert taken is not None
        await taken.done()


async def test_the_public_api_passes_wishes_on_once_the_exporter_is_there_and_nothing_else(node: RabbitServer) -> None:
    async with queues_of(node, "exporter-serve", declares=False) as api, queues_of(node, "exporter") as exporter:
        with pytest.raises(Unavailable):
            await api.put(GRANTS_QUEUE, JOB)
        assert await exporter.take(GRANTS_QUEUE, wait_s=0) is None
        await api.put(GRANTS_QUEUE, JOB)
        taken = await exporter.take(GRANTS_QUEUE, wait_s=PATIENCE_S)
        assert taken is not None
        assert taken.job == JOB
        await taken.done()
        for queue in (MODEL_REQUESTS, "jobs.train"):
            with pytest.raises(Misconfigured, match="permission"):
                await api.put(queue, JOB)
        with pytest.raises(Misconfigured, match="permission"):
            await api.take(GRANTS_QUEUE)


async def test_a_program_with_anothers_password_is_refused(node: RabbitServer) -> None:
    stolen = node.settings_of("trainer").model_copy(update={"username": "exporter"})
    broker = RabbitBroker(stolen, Health(), "thief")
    with pytest.raises(Misconfigured, match="password"):
        await broker.last_offset("model-events")
    await broker.close()


async def _put_what_is_no_job(node: RabbitServer, queue: str) -> None:
    async with connected(node.settings) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(queue, ensure=False)
        await exchange.publish(aio_pika.Message(b"\xc1"), queue)


async def _dead_of(node: RabbitServer) -> str:
    """Take the newest dead letter; return the queue that it came from."""
    async with connected(node.settings) as connection:
        dead = await (await connection.channel()).get_queue("jobs.dead")
        async with asyncio.timeout(PATIENCE_S), dead.iterator() as letters:
            message = await anext(letters)
            await message.ack()
        deaths = message.headers["x-death"]
        assert isinstance(deaths, list)
        (death,) = deaths
        assert isinstance(death, dict)
        return str(death["queue"])
