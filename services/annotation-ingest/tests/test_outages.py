"""What the service does when the world is not as it was."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from prometheus_client import REGISTRY

from annotation_ingest.settings import InputSettings, Quota
from labelstream.wire import native

BOX = {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}


@asynccontextmanager
async def running(service: Any, **told: Any) -> AsyncIterator[Any]:
    """Run the service, looking at quiet inputs often."""
    service.told = {"check_input_s": 0.02, **told}
    task = service.start()
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def answered(service: Any, count: int) -> None:
    """Wait for the receipts."""
    while len(service.receipts()) < count:
        await service.broker.changed(0.02)


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Have the system refuse what would make a file larger, in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def messages(make_picture: Any, first: int, count: int) -> list[Any]:
    return [native.write(f"n{i}", make_picture(i), [BOX], message_id=f"m{i}") for i in range(first, first + count)]


def metric(name: str, stream: str = "annotations") -> float:
    return REGISTRY.get_sample_value(name, {"stream": stream}) or 0.0


async def test_an_idle_service_notices_that_its_input_was_created_anew(service: Any, make_picture: Any) -> None:
    await service.send(*messages(make_picture, 0, 3))
    async with running(service):
        await answered(service, 3)
        service.broker.delete("annotations")
        assert "there is no stream" in await service.until_waiting("input annotations")
        await service.send(*messages(make_picture, 100, 1))
        while "created anew" not in await service.until_waiting("input annotations"):
            await service.broker.changed(0.02)
        await service.send(*messages(make_picture, 101, 5))
        while "is not the one that was answered" not in await service.until_waiting("input annotations"):
            await service.broker.changed(0.02)
    assert len(service.receipts()) == 3


async def test_a_busy_service_notices_that_its_input_was_created_anew_with_more_in_it(
    service: Any, make_picture: Any
) -> None:
    await service.send(*messages(make_picture, 0, 3))
    async with running(service, check_input_s=3600):
        await answered(service, 3)
        service.broker.delete("annotations")
        await service.send(*messages(make_picture, 100, 30))
        assert "created anew" in await service.until_waiting("input annotations")
    assert len(service.receipts()) == 3


async def test_an_input_that_was_created_anew_with_more_in_it_is_noticed_at_the_start(
    service: Any, make_picture: Any
) -> None:
    await service.send(*messages(make_picture, 0, 3), b"noise")
    await service.work()
    service.broker.delete("annotations")
    await service.send(*messages(make_picture, 100, 30))
    async with running(service):
        assert "the message at offset 3 is not the one" in await service.until_waiting("input annotations")
    assert len(service.receipts()) == 4


async def test_the_same_input_is_known_again_by_a_message_that_could_not_be_read(
    service: Any, make_picture: Any
) -> None:
    await service.send(*messages(make_picture, 0, 3), b"noise")
    await service.work()
    await service.send(*messages(make_picture, 3, 1))
    assert len(await service.work()) == 5


async def test_an_input_that_was_deleted_is_waited_for_and_never_created(service: Any, make_picture: Any) -> None:
    await service.send(*messages(make_picture, 0, 3))
    await service.work()
    service.broker.delete("annotations")
    async with running(service):
        assert "there is no stream annotations" in await service.until_waiting("input annotations")
        assert service.broker.stored("annotations") is None
        assert not service.health.is_ready


async def test_what_retention_removed_unread_is_said_and_the_rest_answered(service: Any, make_picture: Any) -> None:
    await service.send(*messages(make_picture, 0, 3))
    await service.work()
    await service.send(*messages(make_picture, 3, 20))
    kept = service.broker.stored("annotations")[15].offset
    lost = kept - service.receipts()[-1].input.offset - 1
    service.broker.evict("annotations", kept)
    before = metric("labelstream_ingest_gap_messages_total")
    async with running(service):
        await answered(service, 3 + 23 - 15)
    assert [r.input.offset for r in service.receipts()[3:]] == [
        one.offset for one in service.broker.stored("annotations")
    ]
    gap = service.health.report()["degraded"]["gap in annotations"]
    assert gap == f"offsets {kept - lost} to {kept - 1} were removed before they were read"
    assert metric("labelstream_ingest_gap_messages_total") - before == lost


async def test_what_was_removed_before_the_service_ever_ran_alarms_nobody(service: Any, make_picture: Any) -> None:
    before = metric("labelstream_ingest_gap_messages_total")
    await service.send(*messages(make_picture, 0, 10))
    service.broker.evict("annotations", 5)
    assert [r.input.offset for r in await service.work()] == [d.offset for d in service.broker.stored("annotations")]
    assert metric("labelstream_ingest_gap_messages_total") == before
    assert service.health.report()["degraded"] == {}


async def test_numbers_that_are_left_out_between_messages_alarm_nobody(service: Any, make_picture: Any) -> None:
    before = metric("labelstream_ingest_gap_messages_total")
    await service.send(*messages(make_picture, 0, 30))  # the double leaves out every seventh
    async with running(service):
        await answered(service, 30)
    assert metric("labelstream_ingest_gap_messages_total") == before
    assert service.health.report()["degraded"] == {}


async def test_a_full_disk_is_waited_for_and_the_work_goes_on_in_the_same_process(
    service: Any, make_picture: Any
) -> None:
    await service.send(*messages(make_picture, 0, 3))
    async with running(service) as task:
        await answered(service, 3)
        with files_of_at_most(100_000):
            await service.send(*messages(make_picture, 3, 60))
            assert str(service.state) in await service.until_waiting("disk")
            assert not task.done()
        while not service.is_done():
            await service.broker.changed(0.05)
    assert [r.input.offset for r in service.receipts()] == [d.offset for d in service.broker.stored("annotations")]
    assert service.live_view() == service.rebuilt_view()
    assert service.health.is_ready


async def test_a_quota_holds_up_its_own_input_alone(service: Any, make_picture: Any) -> None:
    slow = InputSettings(stream="slow", quota=Quota(messages_per_s=0.001))
    service.inputs = (InputSettings(), slow)
    await service.send(*messages(make_picture, 0, 3), stream="slow")
    await service.send(*messages(make_picture, 10, 20))
    async with running(service):
        while sum(r.input.stream == "annotations" for r in service.receipts()) < 20:
            await service.broker.changed(0.02)
        assert "quota of 0.001 messages a second" in service.health.report()["input slow"]["paced"]
    assert sum(r.input.stream == "slow" for r in service.receipts()) <= 1
