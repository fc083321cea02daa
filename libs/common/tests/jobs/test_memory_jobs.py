"""The double of a job queue where it stands for more than the contract: bad messages, and a queue that is away."""

from __future__ import annotations

import msgpack
import pytest

from labelstream.errors import Unavailable
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import Job

JOB = Job(project="default", id="a-job")


@pytest.mark.parametrize("body", [b"", b"\xc1", msgpack.packb([1]), msgpack.packb({"project": "default"})])
async def test_a_message_that_is_not_a_job_goes_to_the_dead_and_the_next_is_taken(body: bytes) -> None:
    jobs = MemoryJobQueue()
    await jobs.put_body("jobs.train", body)
    await jobs.put("jobs.train", JOB)

    taken = await jobs.take("jobs.train")
    assert taken is not None
    assert taken.job == JOB
    assert jobs.dead == [body]


async def test_a_queue_that_is_away_is_unavailable_and_keeps_its_jobs() -> None:
    jobs = MemoryJobQueue()
    await jobs.put("jobs.train", JOB)
    jobs.away = "maintenance"
    with pytest.raises(Unavailable):
        await jobs.take("jobs.train")
    with pytest.raises(Unavailable):
        await jobs.put("jobs.train", JOB)

    jobs.away = None
    taken = await jobs.take("jobs.train")
    assert taken is not None
    assert taken.job == JOB


async def test_fields_that_a_newer_putter_added_are_ignored() -> None:
    jobs = MemoryJobQueue()
    await jobs.put_body("jobs.train", msgpack.packb({**JOB.model_dump(), "newer": 1}))

    taken = await jobs.take("jobs.train")
    assert taken is not None
    assert taken.job == JOB
