"""A push that is killed twice and repeated: every image is recorded once, and everything sent has its receipt."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

from .program import INPUT, Program, everything_in, until_answered
from .undisturbed import receipts_in

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(300)]

STREAM = str(INPUT["stream"])
IMAGES = 120
KILLED = -9
DYING_PUSH = Path(__file__).parents[2] / "libs/cli/tests/dying_push.py"
PUSH = ("-c", "from labelstream_cli.main import app; app()", "push")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A YOLO folder: small images, each another one, and a photograph of more than 3 MB."""
    folder = tmp_path / "photos"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for number in range(IMAGES - 1):
        Image.new("RGB", (64, 48), (number, 90, 60)).save(folder / f"images/{number:03}.png")
    grain = np.random.default_rng(1).integers(0, 256, (1100, 1100, 3), dtype=np.uint8)
    Image.fromarray(grain).save(folder / "images/large.png")
    for image in (folder / "images").iterdir():
        (folder / f"labels/{image.stem}.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    (folder / "classes.txt").write_text("car\n")
    assert (folder / "images/large.png").stat().st_size > 3_000_000
    return folder


@pytest.fixture
async def broker(fresh_rabbitmq: RabbitServer) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(fresh_rabbitmq.settings, Health(), "test")
    await broker.ensure_stream(STREAM)
    yield broker
    await broker.close()


async def test_what_a_killed_push_sent_is_recorded_once_by_the_service(
    folder: Path, broker: RabbitBroker, fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path
) -> None:
    queue, store = fresh_rabbitmq.settings, fresh_seaweedfs.settings
    ingest = Program(tmp_path, queue, store)
    url = f"rabbitmq-stream://{queue.username}:{queue.password.get_secret_value()}@{queue.host}:{queue.stream_port}"
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(tmp_path / "notes"),
        "LABELSTREAM_STORE__ENDPOINT_URL": store.endpoint_url,
        "LABELSTREAM_STORE__ACCESS_KEY": store.access_key,
        "LABELSTREAM_STORE__SECRET_KEY": store.secret_key.get_secret_value(),
    }
    try:
        ingest.start()
        # Fifty are confirmed and noted, the next fifty only confirmed. These are sent again, and ten more handed over.
        assert (await _ended(environment, DYING_PUSH, folder, STREAM, url, "unnoted", 100))[0] == KILLED
        assert (await _ended(environment, DYING_PUSH, folder, STREAM, url, "sent", 60))[0] == KILLED
        await until_answered(broker, 1)  # else there is no stream to wait for receipts on
        resumed = (*PUSH, folder, "--url", url, "--by-reference", "--wait", "--json")
        code, said = await _ended(environment, *resumed)
        assert code == 0, said
        sent = await broker.last_offset(STREAM)
        assert sent is not None
        await until_answered(broker, sent + 1)
        inputs, events = await everything_in(broker, STREAM), await everything_in(broker, ANNOTATION_EVENTS)
    finally:
        if ingest.running:
            ingest.kill()
    outcomes = [(one.name, one.outcome) for receipt in receipts_in(events) for one in receipt.outcomes]
    assert len(inputs) == len(outcomes)
    recorded = Counter(name for name, outcome in outcomes if outcome == "recorded")
    assert recorded == Counter(image.stem for image in (folder / "images").iterdir())
    counts = Counter(outcome for _, outcome in outcomes)
    assert set(counts) == {"recorded", "duplicated"}
    assert counts["duplicated"] >= 50
    assert json.loads(said)["sent_earlier"] == 100


async def _ended(environment: dict[str, str], *arguments: object) -> tuple[int | None, str]:
    """Run Python until it ends; return its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *map(str, arguments), env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()
