"""The client against the real inference service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from labelstream.client import AsyncClient, Client, Refused

from .serving import served


@asynccontextmanager
async def serving(world: Any) -> AsyncIterator[str]:
    """The address of an inference service with the model `m1`."""
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.until(lambda: world.health.is_ready)
        async with served(client._transport.app) as url:
            yield url


async def test_the_client_understands_the_service(world: Any, red_picture: bytes) -> None:
    async with serving(world) as url, AsyncClient(url) as client:
        found = await client.predict(red_picture, confidence=0.5, deadline_s=30)
        (red,) = found.detections
        assert (found.model, red.name, found.width, red.box.x1) == ("m1", "red", 64, pytest.approx(32, abs=1))
        assert found.request_id
        pixels = cv2.imdecode(np.frombuffer(red_picture, np.uint8), cv2.IMREAD_COLOR)
        assert (await client.predict(pixels)).detections == found.detections
        assert (await client.predict(red_picture, classes=["blue"])).detections == ()
        assert (await client.annotated(red_picture))[:2] == b"\xff\xd8"
        with pytest.raises(Refused) as refused:
            await client.predict(b"no image")
        assert refused.value.rule == "image.unknown_format"
        assert refused.value.request_id
        models = await client.models()
        model = models.of_project("default")
        assert model is not None
        assert (model.model, model.thresholds["confidence"]) == ("m1", 0.25)
        assert (await client.schema()).classes == ("red", "blue")


async def test_many_images_and_a_video_are_answered(world: Any, draw: Any, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64))
    for column in range(8):
        frame = draw((1, column, (0, 0, 255)))
        writer.write(cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_COLOR))
    writer.release()

    def ask(url: str) -> tuple[list[Any], list[Any]]:
        with Client(url) as client:
            many = list(client.predict_many([draw((0, 0, (0, 0, 255))), b"no image", draw()]))
            return many, list(client.video(film, every=3))

    async with serving(world) as url:
        many, frames = await asyncio.to_thread(ask, url)
    by_index = {one.index: one for one in many}
    assert len(by_index[0].result().detections) == 1
    assert by_index[1].problem.rule == "image.unknown_format"
    assert by_index[2].result().detections == ()
    assert [frame.index for frame in frames] == [0, 3, 6]
    assert [len(frame.result().detections) for frame in frames] == [1, 1, 1]
    assert frames[1].time_s == pytest.approx(0.3)
