"""Archives made by workers that take them from a queue: the same ones, whoever makes them and whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from augmenter.domain import Limits
from augmenter.making import Order, Shelved, Workshop
from augmenter.orders import QUEUE, ArchiveLeft, ArchiveOrder, job_of, order_of
from augmenter.recipe import load_recipe, shipped
from augmenter.room import Room
from augmenter.sharing import Sharing
from augmenter.worker import ArchiveWork, OwnKind
from labelstream.blobs.leases import Leases
from labelstream.errors import Rejected
from labelstream.jobs.codec import pack, unpack
from labelstream.jobs.desk import Desk
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.worker import Attempt, Worker
from labelstream.service.health import Health

COUNT = Limits(count=2, age_s=3600)


@dataclass
class Company:
    """A decider that shares, and workers on the same queue."""

    world: Any
    queue: MemoryJobQueue

    def sharing(self) -> Sharing:
        desk = Desk(self.queue, Leases(self.world.blobs, "decider"), self.world.blobs)
        return Sharing(self.world.store, desk, self.world.workshop, poll_s=0.01)

    def worker(self, name: str, do: Any = None, health: Health | None = None) -> Worker:
        health = health or self.world.health
        work = ArchiveWork(self.world.store, self.world.workshop)
        queue = OwnKind(self.queue, health, pause_s=0)
        return Worker(QUEUE, queue, Leases(self.world.blobs, name), self.world.blobs, health, do or work.do)

    @asynccontextmanager
    async def working(self, *workers: Worker) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(worker.run()) for worker in workers]
            yield
            for task in tasks:
                task.cancel()


@pytest.fixture
def company(world: Any) -> Company:
    return Company(world, MemoryJobQueue())


def archives(world: Any) -> dict[str, bytes]:
    return {key: data for key, (data, *_) in world.blobs._objects.items() if key.endswith(".tar")}


async def recorded(world: Any, scene: Any, count: int) -> None:
    for n in range(count):
        await world.record(f"n{n}", scene(n))


async def test_two_workers_make_the_archives_that_one_process_makes(company: Company, scene: Any) -> None:
    world = company.world
    await recorded(world, scene, 8)
    async with world.running(COUNT):
        await world.until(lambda: len(world.names()) == 8)
    alone, said = archives(world), world.batches()
    for key in alone:
        await world.blobs.delete(key)
    world.broker.delete("batch-events")
    sharing = company.sharing()
    workers = company.working(company.worker("one"), company.worker("two"))
    async with workers, world.running(COUNT, maker=sharing, ahead=8):
        await world.until(lambda: len(world.names()) == 8)
    assert archives(world) == alone
    assert world.batches() == said


async def test_a_worker_that_fails_is_followed_by_another(company: Company, scene: Any) -> None:
    world = company.world
    await recorded(world, scene, 2)

    async def die(_: Attempt) -> ArchiveLeft:
        raise asyncio.CancelledError

    dying = asyncio.create_task(company.worker("dying", die).run())
    async with world.running(COUNT, maker=company.sharing()):
        await asyncio.wait([dying])
        async with company.working(company.worker("living")):
            await world.until(lambda: len(world.names()) == 2)


async def test_what_every_worker_gave_up_is_made_by_the_decider(company: Company, scene: Any) -> None:
    world = company.world
    await recorded(world, scene, 2)

    async def refuse(attempt: Attempt) -> ArchiveLeft:
        raise Rejected("order.tired", attempt.job.id, "")

    async with company.working(company.worker("tired", refuse)), world.running(COUNT, maker=company.sharing()):
        await world.until(lambda: len(world.names()) == 2)


async def test_a_batch_of_bad_samples_is_answered_without_an_archive(company: Company, scene: Any) -> None:
    world = company.world
    await recorded(world, scene, 2)
    for n in range(2):
        await world.blobs.delete(scene(n).image.key)
    async with company.working(company.worker("one")), world.running(COUNT, maker=company.sharing()):
        await world.until(lambda: len(world.batches()) == 1)
    (batch,) = world.batches()
    assert batch.archive is None
    assert [one.reason.split(":")[0] for one in batch.left_out] == ["image.missing"] * 2
    assert archives(world) == {}


async def test_a_worker_with_other_libraries_hands_orders_back_and_says_why(
    company: Company, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = company.world
    order = Order("default", world.recipe, (scene(1).sample(),))
    job = job_of(order)
    other = job.model_copy(update={"payload": {**job.payload, "recipe_digest": "e" * 64}})
    await company.queue.put(QUEUE, other)
    health = Health()
    queue = OwnKind(company.queue, health, pause_s=0)
    assert await queue.take(QUEUE) is None
    assert "other versions" in health.report()["degraded"][QUEUE]
    await company.queue.close()
    taken = await company.queue.take(QUEUE, wait_s=0)  # another worker finds it
    assert taken is not None
    assert taken.job == other
    await company.queue.put(QUEUE, job)
    mine = await queue.take(QUEUE)
    assert mine is not None
    assert health.report()["degraded"] == {}
    assert archives(world) == {}


@pytest.mark.parametrize("name", shipped())
def test_an_order_is_read_as_it_was_meant(scene: Any, name: str) -> None:
    sample = scene(1).sample()
    order = Order("default", load_recipe(name), (sample,))
    job = unpack(pack(job_of(order)))
    read = order_of("default", ArchiveOrder.model_validate(job.payload))
    assert (read.digest, read.recipe) == (order.digest, order.recipe)


async def test_an_image_that_is_erased_while_its_archive_is_made_is_not_in_it(company: Company, scene: Any) -> None:
    world = company.world
    scenes = [scene(1), scene(2)]
    for drawn in scenes:
        await world.blobs.put(drawn.image.key, drawn.encoded)

    class Slow(Workshop):
        async def make(self, order: Order) -> Shelved:
            shelved = await super().make(order)
            await world.blobs.delete(scenes[0].image.key)
            return shelved

    order = Order("default", world.recipe, tuple(drawn.sample(offset=n) for n, drawn in enumerate(scenes)))
    work = ArchiveWork(world.store, Slow(world.store, world.renderer, Room(1 << 30)))
    left = await work.do(Attempt(job_of(order), 1, world.blobs, world.health))
    assert [made.image for made in left.contents.made] == [scenes[1].image.sha256]
    (archive,) = archives(world).values()
    assert scenes[0].encoded not in archive


async def test_what_a_worker_left_long_ago_is_new_to_whoever_collects_before_it_is_named(
    company: Company, scene: Any
) -> None:
    world = company.world
    await recorded(world, scene, 2)
    async with company.working(company.worker("one")), world.running(COUNT, maker=company.sharing()):
        await world.until(lambda: len(world.names()) == 2)
    world.broker.delete("batch-events")  # as if the decider had died before it said so
    later = datetime.now(UTC) + timedelta(days=90)
    world.blobs.clock = lambda: later
    async with world.running(COUNT, maker=company.sharing()):
        await world.until(lambda: len(world.names()) == 2)
    assert [info.modified async for info in world.blobs.list("default/archives/")] == [later]
    assert world.renderer.rendered == 2


async def test_an_archive_that_was_left_and_collected_is_made_again(company: Company, scene: Any) -> None:
    world = company.world
    await recorded(world, scene, 2)
    async with company.working(company.worker("one")), world.running(COUNT, maker=company.sharing()):
        await world.until(lambda: len(world.names()) == 2)
    before = archives(world)
    world.broker.delete("batch-events")
    for key in before:
        await world.blobs.delete(key)
    async with world.running(COUNT, maker=company.sharing()):
        await world.until(lambda: len(world.names()) == 2)
    assert archives(world) == before
