"""The worker on a real broker and a real store, with a real inference service and the real ingest."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from labelstream import keys
from labelstream.annotating import name_of
from labelstream.producer import Producer
from labelstream.values import sha256_hex

from .surroundings import Surroundings

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow]

RED, BLUE = (0, 0, 255), (255, 0, 0)
WORKER = "inference-annotate"


def pictures(draw: Any, count: int) -> list[bytes]:
    """Pictures of one red cell each, all different."""
    return [draw((n // 8, n % 8, RED)) for n in range(count)]


async def test_images_become_unvalidated_annotations_by_ai(around: Surroundings, inference: Any, draw: Any) -> None:
    both, blue, none = draw((1, 4, RED), (5, 6, BLUE)), draw((2, 2, BLUE)), draw()
    key = keys.image("default", sha256_hex(none), "png")
    await around.data.put(key, none)
    async with inference() as (url, _):
        around.work(url)
        images = await around.stored([both, blue, both, b"no image", draw((3, 3, RED))])
        request = await around.ask([*images, around.in_data(key), around.in_data("absent")])
        result = await around.result(request)
    receipts = await around.receipts()
    assert (result.total, result.predicted, result.published, result.boxes, result.empty) == (7, 7, 4, 2, 2)
    assert (dict(result.skipped), result.repeated, result.model) == ({"blue": 2}, 1, "m1")
    assert dict(result.failed) == {"image.unknown_format": 1, "image.absent": 1}
    assert result.failures is not None
    failed = json.loads((await around.data.get(result.failures.key)).data)
    assert [one["file"] for one in failed] == ["3.png", "absent"]
    said = {one.name: one for one in receipts}
    assert set(said) >= {name_of(sha256_hex(one)) for one in (both, blue, none)}
    assert {(one.outcome, one.validated) for one in receipts} == {("recorded", False)}
    annotation = said[name_of(sha256_hex(both))].annotation
    assert annotation is not None
    (box,) = annotation.shapes
    assert (annotation.source, box.class_id) == ("ai", 1)
    assert box.confidence == pytest.approx(1, abs=0.01)
    assert (box.x, box.y, box.w, box.h) == pytest.approx((4.5 / 8, 1.5 / 8, 1 / 8, 1 / 8), abs=1e-3)


async def test_a_killed_worker_loses_nothing_and_says_nothing_twice(
    around: Surroundings, inference: Any, draw: Any
) -> None:
    images = pictures(draw, 20)
    kills = {7, 14}

    async with inference() as (url, watched):

        async def kill(asked: int) -> None:
            if asked in kills:
                around.kill(WORKER)
                around.work(url)

        watched.before = kill
        around.work(url)
        result = await around.result(await around.ask(await around.stored(images)))
    receipts = await around.receipts()
    assert watched.asked["/v1/predict"] > len(images), "what was in work when it was killed is asked again"
    assert (result.published, result.boxes, dict(result.failed)) == (20, 20, {})
    outcomes = Counter((one.name, one.outcome) for one in receipts)
    recorded = {name: count for (name, outcome), count in outcomes.items() if outcome == "recorded"}
    assert recorded == {name_of(sha256_hex(image)): 1 for image in images}
    assert {outcome for _, outcome in outcomes} <= {"recorded", "duplicated"}


async def test_what_people_validated_is_left_alone(around: Surroundings, inference: Any, draw: Any) -> None:
    image = draw((1, 4, RED))
    name = name_of(sha256_hex(image))
    async with inference() as (url, watched):
        around.work(url)
        stored = await around.stored([image])
        await around.result(await around.ask(stored))
        await around.receipts()
        async with Producer.connect(around.broker, name="person") as person:
            said = await person.edit(name=name, boxes=[{"class": "Green", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.2}])
            receipt = await person.wait_for_receipt(said, timeout_s=60)
            assert receipt.outcomes[0].validated
        await around.result(await around.ask(stored))
        assert watched.asked["/v1/predict"] == 1, "the same is asked for once"
        await around.result(await around.ask(stored, again="1", confidence=0.3))
    again = (await around.receipts())[-1]
    assert (again.name, again.outcome, again.validated, again.revision) == (name, "superseded", True, 2)


async def test_a_job_ends_when_it_is_cancelled(around: Surroundings, inference: Any, draw: Any) -> None:
    async with inference() as (url, watched):
        asked_for = await around.ask(await around.stored(pictures(draw, 40)))

        async def cancel(asked: int) -> None:
            if asked == 7:
                await around.data.create(keys.job_cancel("default", asked_for.id), b"{}")

        watched.before = cancel
        around.work(url)
        result = await around.result(asked_for)
    assert watched.asked["/v1/predict"] >= 7
    assert result.cancelled
    assert result.published < 40
    assert await around.messages() == result.published


async def test_a_job_waits_for_a_model_and_is_refused_another_one(around: Surroundings, world: Any, inference: Any,
                                                                  draw: Any) -> None:  # fmt: skip
    async with inference(promoted=False) as (url, watched):
        around.work(url)
        stored = await around.stored(pictures(draw, 2))
        request = await around.ask(stored)
        await asyncio.wait_for(watched.heard.wait(), 60)
        await world.promote("m1", 1)
        assert (await around.result(request)).published == 2
        assert await around.failure(await around.ask(stored, model="another")) == "annotate.model_not_here"
    assert await around.messages() == 2
