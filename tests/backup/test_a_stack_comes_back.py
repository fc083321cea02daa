"""A stack is lost with all that it holds, and comes back from its backup: the same dataset, the same model, and on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.course import Course, options, push, told, undisturbed
from tests.pipeline.drawing import shot
from tests.pipeline.watching import Onlooker, all_ready, eventually, onlooker, predict

from labelstream.events.annotation import AnnotationSettled
from labelstream.events.base import (
    ACCESS_EVENTS,
    ANNOTATION_EVENTS,
    BATCH_EVENTS,
    MODEL_EVENTS,
    SERVING_EVENTS,
    TRAINING_EVENTS,
)
from labelstream.events.batch import BatchAugmented
from labelstream.parked import INGEST
from labelstream.protection.sealing import new_identity
from labelstream.streams.message import Delivery
from labelstream_local.process import StartFailed
from labelstream_local.stack import Stack, down, up

from .typing_commands import killed, refused, said

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(1200)]

OURS = (ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS, ACCESS_EVENTS, SERVING_EVENTS, INGEST)
DECIDED = (TRAINING_EVENTS, MODEL_EVENTS)
INPUT, PRODUCER = "annotations", "pusher"
RATIOS = ("--ratios", "50/25/25")

Held = dict[str, list[tuple[int, bytes]]]


@dataclass(frozen=True)
class Lost:
    """What the stack held and said before it was lost."""

    course: Course
    streams: Held
    ids: dict[tuple[str, str], int]
    dataset: dict[str, Any]
    answer: dict[str, object]
    interrupted: dict[str, Any]  # what the backup that went on said
    second: dict[str, Any]


@dataclass(frozen=True)
class Again:
    """The stack that was restored, and what it held before a service ran."""

    stack: Stack
    lost: Lost
    before: Held
    ids: dict[tuple[str, str], int]
    restored: dict[str, Any]


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Again]:
    root = tmp_path_factory.mktemp("backup")
    identity, recipient = new_identity()
    (root / "operator.key").write_text(identity)
    old, new, place = root / "old", root / "new", str(root / "place")
    try:
        stack = up(old, options(root))
        lost = asyncio.run(_course(stack, old, place, recipient))
        down(old)
        shutil.rmtree(old)
        for told in ("recipe.yaml", "shapes.json"):  # are lost, too
            (root / told).unlink()
        restored = _restore(root, new, place)
        before, ids = asyncio.run(_held(new))
        down(new)
        yield Again(up(new), lost, before, ids, restored)
    finally:
        down(old)
        down(new)


async def _course(stack: Stack, directory: Path, place: str, recipient: str) -> Lost:
    """Run a course, back it up; kill the backup once, and back up again what comes later."""
    backup = ("backup", place, "--dir", str(directory), "--publisher", PRODUCER)
    async with onlooker(stack) as see:
        await undisturbed(see)
        await asyncio.to_thread(killed, *backup, when=lambda: any(Path(place).glob("objects/*/*")))
        interrupted = await asyncio.to_thread(said, *backup)
        await push(stack, [shot("later", "film-later").message(validated=False)], PRODUCER)
        await eventually(lambda: all_ready(stack))
        dataset = await asyncio.to_thread(_dataset, directory)
        answer = predict(stack, shot("asked", "asked").image)
        second = await asyncio.to_thread(said, *backup, "--with-secrets", recipient)
        streams = await _streams(see)
        return Lost(await told(see), streams, await _ids(see), dataset, answer, interrupted, second)


def _restore(root: Path, directory: Path, place: str) -> dict[str, Any]:
    """Restore into nothing, with the secrets; killed once, nothing else starts, and it goes on."""
    restore = ("restore", place, "--dir", str(directory))
    assert "there is no snapshot" in refused(*restore, "--snapshot", "2020-01-01T00-00-00.000Z")
    assert "`--identity KEY` takes them out of this backup" in refused(*restore)
    with_secrets = (*restore, "--identity", str(root / "operator.key"))
    killed(*with_secrets, when=lambda: any((directory / "data").rglob("*batch-events*/*.segment")))
    with pytest.raises(StartFailed, match=rf"was begun and not finished: `labelstream restore {place} --snapshot"):
        up(directory)
    return said(*with_secrets)


async def _held(directory: Path) -> tuple[Held, dict[tuple[str, str], int]]:
    from labelstream_local.stack import load  # noqa: PLC0415

    async with onlooker(load(directory)) as see:
        return await _streams(see), await _ids(see)


async def _streams(see: Onlooker) -> Held:
    return {stream: _places(await see.raw(stream)) for stream in (*OURS, INPUT)}


async def _ids(see: Onlooker) -> dict[tuple[str, str], int]:
    known = [
        (INPUT, PRODUCER),
        (ANNOTATION_EVENTS, f"annotation-ingest.{INPUT}"),
        (TRAINING_EVENTS, "trainer"),
        (MODEL_EVENTS, "exporter"),
        (SERVING_EVENTS, "inference.local"),
        (ACCESS_EVENTS, "exporter-serve.local"),
        (INGEST, f"annotation-ingest.{INPUT}"),
    ]
    return {one: await see.broker.last_publishing_id(*one) for one in known}


def _places(deliveries: list[Delivery]) -> list[tuple[int, bytes]]:
    return [(one.offset, one.raw) for one in deliveries]


def _dataset(directory: Path, *more: str) -> dict[str, Any]:
    return said("dataset", "build", *RATIOS, "--dry-run", "--dir", str(directory), *more)


def test_every_message_stands_where_it_stood(again: Again) -> None:
    assert again.restored["went_on"] is True
    for stream, there in again.before.items():
        assert there == again.lost.streams[stream], stream
    assert all(again.before.values())


def test_every_publisher_goes_on_where_it_was(again: Again) -> None:
    assert again.ids == again.lost.ids
    assert min(again.ids.values()) > 0


def test_a_backup_that_was_killed_went_on_and_a_second_one_added_what_was_new(again: Again) -> None:
    assert again.lost.interrupted["streams"][INPUT]["messages"] == again.lost.second["streams"][INPUT]["messages"] - 1
    assert 0 < again.lost.second["added"]["messages"] < 20


async def test_the_pipeline_goes_on_and_repeats_nothing(again: Again) -> None:
    async with onlooker(again.stack) as see:
        await eventually(lambda: all_ready(again.stack))
        inputs, receipts = await see.end(INPUT), await see.end(ANNOTATION_EVENTS)
        [receipt] = await push(again.stack, [shot("after", "film-after").message()], PRODUCER)
        assert receipt.input.offset == inputs == again.lost.streams[INPUT][-1][0] + 1
        assert [outcome.outcome for outcome in receipt.outcomes] == ["recorded"]
        await see.heard(
            BatchAugmented, lambda batch: batch.input.last >= receipts, again.lost.streams[BATCH_EVENTS][-1][0] + 1
        )

        now = await _streams(see)
        for stream in (ANNOTATION_EVENTS, BATCH_EVENTS, *DECIDED, INPUT):
            before = again.lost.streams[stream]
            assert now[stream][: len(before)] == before, stream
        assert {stream: len(now[stream]) - len(again.lost.streams[stream]) for stream in DECIDED} == dict.fromkeys(
            DECIDED, 0
        )
        assert len(now[ANNOTATION_EVENTS]) - len(again.lost.streams[ANNOTATION_EVENTS]) == 1
        said_again = await see.said(AnnotationSettled)
        assert said_again[:-1] == again.lost.course.receipts


async def test_the_same_model_answers_the_same(again: Again) -> None:
    await eventually(lambda: all_ready(again.stack))
    answer = predict(again.stack, shot("asked", "asked").image)
    (promoted,) = again.lost.course.promoted
    assert answer["model"] == again.lost.answer["model"] == promoted.model
    assert answer["detections"] == again.lost.answer["detections"]


def test_the_same_dataset_is_built_anew(again: Again) -> None:
    requested = again.lost.course.requested[0].dataset
    built = _dataset(again.stack.layout.root, "--at", str(requested.cut.offset))
    assert built["id"] == requested.id
    offset = again.lost.dataset["description"]["cut"]["offset"]
    assert _dataset(again.stack.layout.root, "--at", str(offset))["id"] == again.lost.dataset["id"]


def test_a_restore_into_what_runs_is_refused(again: Again, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = str(again.stack.layout.root.parent / "place")
    assert "nothing may run" in refused("restore", place, "--dir", str(again.stack.layout.root))
