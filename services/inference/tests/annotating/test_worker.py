"""The worker on a real broker and a real store, with a real inference service and the real ingest."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from labelstream import keys
from labelstream.annotating import AnnotateRequest, ImageList, StoredImage, ask_to_annotate, name_of, put_images
from labelstream.producer import Producer
from labelstream.values import sha256_hex

from .surroundings import Surroundings

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow]

RED, BLUE, DIM = (0, 0, 255), (255, 0, 0), (60, 60, 150)
WORKER = "inference-annotate"


def pictures(draw: Any, count: int) -> list[bytes]:
    """Pictures of one red cell each, all different."""
    return [draw((n // 8, n % 8, RED)) for n in range(count)]


async def test_images_become_unvalidated_annotations_by_ai(around: Surroundings, inference: Any, draw: Any) -> None:
    both, blue, none = draw((1, 4, RED), (5, 6, BLUE)), draw((2, 2, BLUE)), draw()
    images = [both, blue, none, both, b"no image", draw((3, 3, RED))]
    async with inference() as (url, _):
        around.work(url)
        result = await around.result(await around.ask(images))
        receipts = await around.receipts(4)
    assert (result.total, result.predicted, result.published, result.boxes, result.empty) == (6, 6, 4, 2, 2)
    assert (dict(result.skipped), result.repeated, result.model) == ({"blue": 2}, 1, "m1")
    assert dict(result.failed) == {"image.unknown_format": 1}
    assert result.failures is not None
    (failed,) = json.loads((await around.data.get(result.failures.key)).data)
    assert failed["file"] == "4.png"
    said = {one.outcomes[0].name: one.outcomes[0] for one in receipts}
    assert {one.outcome for one in said.values()} == {"recorded"}
    assert not any(one.validated for one in said.values())
    annotation = said[name_of(sha256_hex(both))].annotation
    assert annotation is not None
    (box,) = annotation.shapes
    assert (annotation.source, box.class_id) == ("ai", 1)
    assert box.confidence == pytest.approx(1, abs=0.01)
    assert (box.x, box.y, box.w, box.h) == pytest.approx((4.5 / 8, 1.5 / 8, 1 / 8, 1 / 8), abs=1e-3)


async def test_a_killed_worker_loses_nothing_and_says_nothing_twice(
    around: Surroundings, inference: Any, draw: Any
) -> None:
    images = pictures(draw, 40)
    kills = iter((7, 19, 33))

    async with inference() as (url, watched):
        at = next(kills)

        async def kill(asked: int) -> None:
            nonlocal at
            if asked == at:
                at = next(kills, -1)
                around.kill(WORKER)
                around.work(url)

        watched.before = kill
        around.work(url)
        result = await around.result(await around.ask(images))
        receipts = await around.receipts(await around.messages())
    assert (result.published, result.boxes, dict(result.failed)) == (40, 40, {})
    outcomes = Counter((one.outcomes[0].name, one.outcomes[0].outcome) for one in receipts)
    assert {name for (name, outcome) in outcomes if outcome == "recorded"} == {name_of(sha256_hex(i)) for i in images}
    assert {outcome for _, outcome in outcomes} <= {"recorded", "duplicated"}
    assert all(count == 1 for (_, outcome), count in outcomes.items() if outcome == "recorded")


async def test_the_most_uncertain_images_are_published_first(around: Surroundings, inference: Any, draw: Any) -> None:
    sure, torn, twice = draw((1, 1, RED)), draw((1, 1, DIM)), draw((1, 1, DIM), (4, 4, DIM))
    async with inference() as (url, _):
        around.work(url)
        result = await around.result(await around.ask([sure, torn, draw(), twice], order="uncertain", confidence=0.5))
        receipts = await around.receipts(4)
    order = [one.outcomes[0].name for one in receipts]
    assert order[:2] == [name_of(sha256_hex(twice)), name_of(sha256_hex(torn))]
    assert result.ranking is not None
    ranking = json.loads((await around.data.get(result.ranking.key)).data)
    assert [one["name"] for one in ranking] == order
    assert [one["place"] for one in ranking] == [1, 2, 3, 4]
    assert ranking[0]["score"] == pytest.approx(2 * ranking[1]["score"], abs=1e-4)
    assert [one["boxes"] for one in ranking][:2] == [0, 0], "what is below --confidence is ranked, and not published"


async def test_what_people_validated_is_left_alone(around: Surroundings, inference: Any, draw: Any) -> None:
    image = draw((1, 4, RED))
    name = name_of(sha256_hex(image))
    async with inference() as (url, _):
        around.work(url)
        await around.result(await around.ask([image]))
        await around.receipts(1)
        async with Producer.connect(around.broker, name="person") as person:
            said = await person.edit(name=name, boxes=[{"class": "Green", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.2}])
            receipt = await person.wait_for_receipt(said, timeout_s=60)
            assert receipt.outcomes[0].validated
        await around.result(await around.ask([image], again="1", confidence=0.3))
        again = (await around.receipts(2))[-1].outcomes[0]
    assert (again.name, again.outcome, again.validated, again.revision) == (name, "superseded", True, 2)


async def test_asking_twice_does_it_once(around: Surroundings, inference: Any, draw: Any) -> None:
    images = pictures(draw, 3)
    async with inference() as (url, watched):
        around.work(url)
        first = await around.ask(images)
        await around.result(first)
        second = await around.ask(images)
        await around.result(second)
        assert watched.asked["/v1/predict"] == 3
    assert first.id == second.id
    assert await around.messages() == 3


async def test_a_job_ends_when_it_is_cancelled(around: Surroundings, inference: Any, draw: Any) -> None:
    async with inference() as (url, watched):
        cancelled = asyncio.Event()
        jobs: list[str] = []

        async def cancel(asked: int) -> None:
            if asked == 7:
                await around.data.create(keys.job_cancel("default", jobs[0]), b"{}")
                cancelled.set()

        watched.before = cancel
        request = await around.ask(pictures(draw, 40))
        jobs.append(request.id)
        around.work(url)
        result = await around.result(request)
    assert cancelled.is_set()
    assert result.cancelled
    assert result.published < 40
    assert await around.messages() == result.published


async def test_a_job_waits_for_a_model_and_for_the_service(around: Surroundings, world: Any, inference: Any,
                                                           draw: Any) -> None:  # fmt: skip
    async with inference(promoted=False) as (url, watched):
        around.work(url)
        request = await around.ask(pictures(draw, 2))
        await watched.heard.wait()
        await world.promote("m1", 1)
        assert (await around.result(request)).published == 2


async def test_a_model_that_is_not_in_service_is_refused(around: Surroundings, inference: Any, draw: Any) -> None:
    async with inference() as (url, _):
        around.work(url)
        request = await around.ask(pictures(draw, 1), model="another")
        assert await around.failure(request) == "annotate.model_not_here"
    assert await around.messages() == 0


async def test_images_of_the_data_bucket_are_annotated_too(around: Surroundings, inference: Any, draw: Any) -> None:
    key = keys.image("default", "0" * 64, "png")
    await around.data.put(key, draw((1, 4, RED)))
    listed = await put_images(
        around.data, "default", ImageList(images=(StoredImage(bucket="data", key=key, file=key),
                                                   StoredImage(bucket="data", key="absent", file="absent")))
    )  # fmt: skip
    request = AnnotateRequest(project="default", images=listed, count=2, source="s3")
    async with inference() as (url, _):
        around.work(url)
        await ask_to_annotate(around.data, around.queue, request)
        result = await around.result(request)
        (receipt,) = await around.receipts(1)
    assert (result.published, dict(result.failed)) == (1, {"image.absent": 1})
    assert receipt.outcomes[0].outcome == "recorded"
