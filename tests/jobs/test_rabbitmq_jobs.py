"""What a job queue does on RabbitMQ alone: strange messages, and a broker that goes away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aio_pika
import msgpack
import pytest
import pytest_asyncio
from pydantic import SecretStr

from labelstream.errors import Misconfigured, Unavailable
from labelstream.jobs import rabbitmq_session
from labelstream.jobs.ports import Job
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.service.settings import BrokerSettings

pytestmark = pytest.mark.broker

JOB = Job(project="default", id="a-job")


@pytest_asyncio.fixture
async def jobs(rabbitmq: Any) -> AsyncIterator[RabbitJobQueue]:
    jobs = RabbitJobQueue(rabbitmq.settings, Health(), "jobs under test")
    yield jobs
    await jobs.close()


@pytest_asyncio.fixture
async def channel(rabbitmq: Any) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    settings: BrokerSettings = rabbitmq.settings
    connection = await aio_pika.connect(
        host=settings.host,
        port=settings.amqp_port,
        login=settings.username,
        password=settings.password.get_secret_value(),
    )
    async with connection:
        yield await connection.channel()


@pytest.mark.parametrize("body", [b"", b"\xc1", msgpack.packb([1]), msgpack.packb({"project": "default"})])
async def test_a_message_that_is_not_a_job_goes_to_the_dead_and_the_next_is_taken(
    jobs: RabbitJobQueue, channel: aio_pika.abc.AbstractChannel, queue: str, body: bytes
) -> None:
    await jobs.take(queue, wait_s=0)  # declares it
    await channel.default_exchange.publish(aio_pika.Message(body), queue)
    await jobs.put(queue, JOB)

    taken = await jobs.take(queue)
    assert taken is not None
    assert taken.job == JOB

    dead = await (await channel.get_queue("jobs.dead")).get(timeout=5, fail=True)
    await dead.ack()
    assert dead.body == body
    assert dead.headers["x-death"][0]["queue"] == queue


async def test_a_job_that_comes_as_its_taker_is_cancelled_is_there_for_another(
    jobs: RabbitJobQueue, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = rabbitmq_session._first

    async def cancelled_unheard(*arguments: Any) -> Any:
        message = await first(*arguments)
        taking.cancel()
        with suppress(asyncio.CancelledError):  # as wait_for does in Python 3.11
            await asyncio.sleep(0)
        return message

    await jobs.put(queue, JOB)
    with monkeypatch.context() as losing:
        losing.setattr(rabbitmq_session, "_first", cancelled_unheard)
        taking = asyncio.create_task(jobs.take(queue))
        with pytest.raises(asyncio.CancelledError):
            await taking
    again = await jobs.take(queue, wait_s=20)
    assert again is not None
    assert again.job == JOB


async def test_a_job_is_stored_with_its_id_in_a_durable_quorum_queue(
    jobs: RabbitJobQueue, channel: aio_pika.abc.AbstractChannel, queue: str
) -> None:
    await jobs.put(queue, JOB)

    stored = await (await channel.get_queue(queue)).get()

    await stored.ack()
    assert stored.message_id == JOB.id
    assert stored.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    with pytest.raises(aio_pika.exceptions.ChannelPreconditionFailed):  # it is of another type
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "classic"})


async def test_a_queue_with_other_arguments_is_said_to_be_misconfigured(
    jobs: RabbitJobQueue, channel: aio_pika.abc.AbstractChannel, queue: str
) -> None:
    await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "classic"})

    with pytest.raises(Misconfigured, match="other arguments"):
        await jobs.put(queue, JOB)
    await jobs.put(queue + ".other", JOB)  # the connection is made anew


async def test_a_deleted_queue_is_made_again(
    jobs: RabbitJobQueue, channel: aio_pika.abc.AbstractChannel, queue: str
) -> None:
    await jobs.put(queue, JOB)
    await channel.queue_delete(queue)

    await patiently(Health(), "jobs", lambda: jobs.put(queue, JOB))

    taken = await jobs.take(queue)
    assert taken is not None
    assert taken.job == JOB


async def test_a_wrong_password_is_said_with_host_and_user(rabbitmq: Any, queue: str) -> None:
    wrong = rabbitmq.settings.model_copy(update={"password": SecretStr("wrong")})
    jobs = RabbitJobQueue(wrong, Health(), "stranger")

    with pytest.raises(Misconfigured, match="refuses user"):
        await jobs.put(queue, JOB)


async def test_a_broker_that_is_away_is_unavailable(queue: str) -> None:
    health = Health()
    nobody = BrokerSettings(amqp_port=9, username="a", password=SecretStr("s"))
    jobs = RabbitJobQueue(nobody, health, "early")

    for call in (jobs.put(queue, JOB), jobs.take(queue)):
        with pytest.raises(Unavailable):
            await call
    assert not health.is_ready


async def test_a_killed_broker_ends_a_wait_and_keeps_the_jobs(fresh_rabbitmq: Any, queue: str) -> None:
    health = Health()
    jobs = RabbitJobQueue(fresh_rabbitmq.settings, health, "survivor")
    await jobs.put(queue, JOB)
    waiting = asyncio.create_task(jobs.take(queue + ".empty", wait_s=600))
    await jobs.put(queue + ".other", JOB)
    await asyncio.to_thread(fresh_rabbitmq.kill)

    with pytest.raises(Unavailable):
        await waiting
    taking = asyncio.create_task(patiently(health, "jobs", lambda: jobs.take(queue)))
    await asyncio.to_thread(fresh_rabbitmq.restart)

    taken = await taking
    assert taken is not None
    assert taken.job == JOB
    await taken.done()
    assert health.is_ready
    await jobs.close()


async def test_a_taker_that_is_cancelled_ends_at_whatever_point_it_is(jobs: RabbitJobQueue, queue: str) -> None:
    chance = random.Random(7)

    async def take_for_ever() -> None:
        while True:
            await patiently(Health(), "jobs", lambda: jobs.take(queue, wait_s=0))

    for _ in range(80):
        taking = asyncio.create_task(take_for_ever())
        await asyncio.sleep(chance.uniform(0.001, 0.03))
        taking.cancel()
        await asyncio.wait([taking], timeout=60)
        assert taking.cancelled()
