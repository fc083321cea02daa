"""A decider and workers elsewhere: the archives of one process, also when a worker is killed in the middle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

from .material import material
from .outcome import outcome, undisturbed, until_answered
from .program import Program, looking_at

COUNT = 8

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow]


async def test_two_workers_one_of_them_killed_make_what_one_process_makes(
    fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path
) -> None:
    written = material(120, 3)
    expected = await undisturbed(written, COUNT, tmp_path)
    told = {"BATCH_COUNT": str(COUNT), "SHARE": "true", "WORK": "false"}
    decider = Program("decider", tmp_path, fresh_rabbitmq, fresh_seaweedfs, told=told)
    doomed, other = (
        Program(name, tmp_path, fresh_rabbitmq, fresh_seaweedfs, role=("work",)) for name in ("doomed", "other")
    )
    async with looking_at(fresh_rabbitmq, fresh_seaweedfs) as (broker, blobs):
        await written.write(broker, blobs)
        decider.start()
        doomed.start()
        await _until_claimed(doomed)
        await asyncio.to_thread(doomed.kill)
        doomed.start()  # under the same name, in the middle of others' work
        other.start()
        await until_answered(broker, len(expected.batches))
        for program in (decider, doomed, other):
            await asyncio.to_thread(program.stop)
        assert await outcome(broker, blobs, tmp_path / "again.sqlite") == expected
    claimed = {one["job"] for program in (doomed, other) for one in program.log if one["event"] == "job.claimed"}
    assert len(claimed) == len(expected.archives)


async def _until_claimed(program: Program) -> None:
    async with asyncio.timeout(120):
        while not any(line["event"] == "job.claimed" for line in program.log):  # noqa: ASYNC110  # a log tells nobody
            await asyncio.sleep(0.02)
