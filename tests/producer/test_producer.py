"""Producers on the real broker: what a platform can rely on."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import SecretStr

from labelstream.blobs.s3 import S3Blobs
from labelstream.errors import Misconfigured
from labelstream.events.annotation import AnnotationErased
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.producer import BlockingProducer, Limits, Producer, TimedOut, sending
from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.values import sha256_hex
from labelstream.wire.submission import ImageReference

pytestmark = pytest.mark.broker

PATIENCE_S = 120


def names(service: Any) -> list[str]:
    return [name for one in service.seen for name in one.names]


async def test_each_message_gets_its_receipt(rabbitmq: Any, service: Any, stream: str) -> None:
    async with Producer.connect(rabbitmq.settings, stream, timeout_s=PATIENCE_S) as producer:
        a = await producer.submit(name="a", image=b"x", boxes=[], message_id="outbox-1")
        assert (await producer.wait_for_receipt(a)).outcomes[0].outcome == "recorded"  # type: ignore[union-attr]
        await producer.submit(name="a", image=b"x", boxes=[], message_id="outbox-1")
        assert (await producer.wait_for_receipt(a)).outcomes[0].outcome == "duplicated"  # type: ignore[union-attr]
        erased = await producer.wait_for_receipt(await producer.erase(names=["a"]))

    assert isinstance(erased, AnnotationErased)
    assert [one.kind for one in service.seen] == ["created", "created", "erased"]


async def test_two_producers_and_many_tasks_keep_their_receipts_apart(rabbitmq: Any, service: Any, stream: str) -> None:
    async def work(name: str) -> list[str | None]:
        async with Producer.connect(rabbitmq.settings, stream, name, timeout_s=PATIENCE_S) as producer:

            async def one(number: int) -> str | None:
                message_id = await producer.submit(name=f"{name}-{number}", image=b"x", boxes=[])
                receipt = await producer.wait_for_receipt(message_id)
                assert receipt.message_id == message_id
                return receipt.outcomes[0].name  # type: ignore[union-attr]

            return await asyncio.gather(*(one(number) for number in range(200)))

    found = await asyncio.gather(work("left"), work("right"))

    assert found == [[f"{name}-{number}" for number in range(200)] for name in ("left", "right")]
    assert sorted(names(service)) == sorted([*found[0], *found[1]])


async def test_a_broker_killed_in_the_middle_loses_nothing_and_repeats_nothing(
    fresh_rabbitmq: Any, answer: Any, stream: str
) -> None:
    sent: list[str] = []

    async def push(producer: Producer) -> None:
        for number in range(3000):
            sent.append(await producer.submit(name=f"n{number}", image=bytes(500), boxes=[]))  # noqa: PERF401  # counted meanwhile

    async with (
        answer(fresh_rabbitmq.settings, stream) as service,
        Producer.connect(fresh_rabbitmq.settings, stream, limits=Limits(unconfirmed_messages=150)) as producer,
    ):
        pushing = asyncio.create_task(push(producer))
        async with asyncio.timeout(PATIENCE_S):
            while len(sent) < 500:  # noqa: ASYNC110  # nothing here could set an event
                await asyncio.sleep(0.01)
        await producer.wait_for_receipt(sent[0], timeout_s=PATIENCE_S)
        fresh_rabbitmq.kill()
        await asyncio.to_thread(fresh_rabbitmq.restart)
        await asyncio.wait_for(pushing, PATIENCE_S)
        last = await producer.wait_for_receipt(sent[-1], timeout_s=PATIENCE_S)
        rest = await asyncio.wait_for(producer.wait_for_receipts(), PATIENCE_S)

    assert names(service) == [f"n{number}" for number in range(3000)]
    assert [one.message_id for one in service.seen] == sent
    assert last.message_id == sent[-1]
    assert set(rest) <= set(sent)


@pytest.mark.parametrize("missing", ["input", "receipts"])
async def test_a_stream_that_is_missing_is_said_at_once(fresh_rabbitmq: Any, missing: str) -> None:
    broker = RabbitBroker(fresh_rabbitmq.settings, Health(), "test")
    await broker.ensure_stream(ANNOTATION_EVENTS if missing == "input" else "annotations")
    await broker.close()

    what = "annotations" if missing == "input" else ANNOTATION_EVENTS
    with pytest.raises(Misconfigured, match=f"there is no stream '{what}' on this broker"):
        async with Producer.connect(fresh_rabbitmq.settings):
            pytest.fail("there was nothing to connect to")


async def test_a_stream_that_is_deleted_meanwhile_is_said(
    rabbitmq: Any, service: Any, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ASK_EVERY_S", 0.5)
    producer = await Producer.connect(rabbitmq.settings, stream).__aenter__()
    await producer.wait_for_receipt(await producer.submit(name="a", image=b"x", boxes=[]), timeout_s=PATIENCE_S)
    async with service.broker._links.any_node("deleting") as link:
        await link.delete_stream(stream)
    await producer.submit(name="b", image=b"x", boxes=[])
    with pytest.raises(Misconfigured, match="there is no stream"):
        await producer.flush(timeout_s=PATIENCE_S)
    with pytest.raises(Misconfigured, match="there is no stream"):
        await producer.__aexit__(None, None, None)


async def test_a_wrong_password_is_said_at_once(rabbitmq: Any, stream: str) -> None:
    wrong = rabbitmq.settings.model_copy(update={"password": SecretStr("wrong")})
    with pytest.raises(Misconfigured, match="password"):
        async with Producer.connect(wrong, stream):
            pytest.fail("we were let in")


async def test_a_broker_that_is_not_there_is_waited_for_only_so_long(fresh_rabbitmq: Any) -> None:
    fresh_rabbitmq.kill()
    with pytest.raises(TimedOut, match=r"connecting to annotations took longer than 5 s; .*broker"):
        async with Producer.connect(fresh_rabbitmq.settings, timeout_s=5):
            pytest.fail("nobody was there")


@pytest.mark.store
async def test_images_travel_by_reference(rabbitmq: Any, seaweedfs: Any, service: Any, stream: str) -> None:
    settings = seaweedfs.settings_of("producer")
    image = bytes(3_000_000)  # more than a message holds
    async with Producer.connect(rabbitmq.settings, stream, incoming=settings, timeout_s=PATIENCE_S) as producer:
        for name in ("a", "b"):
            await producer.wait_for_receipt(await producer.submit(name=name, image=image, boxes=[]))

    key = f"{stream}/{sha256_hex(image)}.bin"
    assert [one.image for one in service.seen] == [ImageReference(key, sha256_hex(image))] * 2
    store = S3Blobs(seaweedfs.settings_of("annotation-ingest"), settings.incoming_bucket, Health())
    assert (await store.get(key)).data == image
    await store.close()


async def test_threads_share_a_blocking_producer(rabbitmq: Any, service: Any, stream: str) -> None:
    def work(producer: BlockingProducer, thread: int) -> list[str | None]:
        ids = [producer.submit(name=f"{thread}-{number}", image=b"x", boxes=[]) for number in range(50)]
        return [producer.wait_for_receipt(one).outcomes[0].name for one in ids]  # type: ignore[union-attr]

    def script() -> list[list[str | None]]:
        with (
            BlockingProducer.connect(rabbitmq.settings, stream, "script", timeout_s=PATIENCE_S) as producer,
            ThreadPoolExecutor(6) as threads,
        ):
            return list(threads.map(lambda thread: work(producer, thread), range(6)))

    found = await asyncio.to_thread(script)

    assert found == [[f"{thread}-{number}" for number in range(50)] for thread in range(6)]
    assert len(names(service)) == 300
