"""What was erased is shown by no report, whenever the training ended and whatever the trainer went through."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from labelstream import keys
from labelstream.blobs.rewriting import read_rewritten
from labelstream.errors import Unavailable
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.events.batch import BatchAugmented, Range, Stayed
from labelstream.events.envelope import Envelope
from labelstream.events.training import TrainingFailed
from labelstream.jobs.worker import Attempt
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream.values import sha256_hex
from trainer.app import run
from trainer.orders import TrainingLeft
from trainer.reporting.erased import images_in_evaluation, images_in_page
from trainer.settings import TrainerGroup, TrainerSettings

from .deeds import train
from .reports import ALSO_GONE, CUT, EVERY, GONE, LABELS, OTHER_LABELS, STAYS, World, both, evaluation, file_of, page


@pytest.fixture
def world() -> World:
    return World()


async def test_the_picture_of_an_erased_image_leaves_report_and_evaluation(world: World) -> None:
    first, second = await world.train("first"), await world.train("second", [STAYS])
    world.erase(GONE)
    await world.eraser().tick()
    assert await world.shown("first") == both(ALSO_GONE, STAYS)
    assert await world.shown("second") == both(STAYS)
    for finished in (first, second):
        assert finished.report is not None
        assert finished.evaluation is not None
        assert b"report" in await read_rewritten(world.blobs, finished.report)
        assert file_of(GONE).encode() not in await read_rewritten(world.blobs, finished.evaluation)


async def test_erasures_one_after_the_other_are_followed(world: World) -> None:
    finished = await world.train("job")
    eraser = world.eraser()
    for number, (image, left) in enumerate(((GONE, (ALSO_GONE, STAYS)), (ALSO_GONE, (STAYS,))), CUT + 1):
        world.erase(image, at=number)
        await eraser.tick()
        assert await world.shown("job") == both(*left)
        assert finished.report is not None
        await read_rewritten(world.blobs, finished.report)


async def test_a_training_that_ends_after_the_erasure_shows_nothing_of_it_either(world: World) -> None:
    eraser = world.eraser()
    world.erase(GONE)
    await eraser.tick()
    await world.train("late")
    await eraser.tick()
    assert await world.shown("late") == both(ALSO_GONE, STAYS)


async def test_what_was_recorded_again_after_the_erasure_is_shown(world: World) -> None:
    world.erase(GONE, at=CUT - 1)
    await world.train("job")
    await world.eraser().tick()
    assert await world.shown("job") == both(*EVERY)


async def test_an_image_that_another_annotation_shows_stays_with_what_is_said_of_it_still(world: World) -> None:
    await world.train("ours", labels=LABELS)
    await world.train("theirs", labels=OTHER_LABELS)
    world.erase(stayed=[Stayed(image=GONE, labels=(OTHER_LABELS,))])
    await world.eraser().tick()
    assert await world.shown("ours") == both(ALSO_GONE, STAYS)
    assert await world.shown("theirs") == both(*EVERY, labels=OTHER_LABELS)


async def test_an_erasure_in_another_project_concerns_nobody_here(world: World) -> None:
    await world.train("job")
    world.erase(GONE, project="other")
    await world.eraser().tick()
    assert await world.shown("job") == both(*EVERY)
    assert world.blobs.read == []


@pytest.mark.parametrize("writes", range(8))
async def test_a_trainer_that_dies_in_the_middle_goes_on_after_its_restart(world: World, writes: int) -> None:
    events = [await world.train("first"), await world.train("second")]
    world.erase(GONE)
    world.blobs.writes_left = writes
    with pytest.raises(Unavailable):
        await world.eraser().tick()
    for finished in events:
        assert finished.report is not None
        assert b"report" in await read_rewritten(world.blobs, finished.report)
    world.blobs.writes_left = 1000
    await world.eraser().tick()
    for job in ("first", "second"):
        assert await world.shown(job) == both(ALSO_GONE, STAYS)
    assert world.blobs.writes == 8  # two notes and two files for each: none was written twice


async def test_the_store_may_be_away_for_a_while(world: World) -> None:
    await world.train("job")
    eraser = world.eraser()
    world.erase(GONE)
    world.blobs.away = "down"
    with pytest.raises(Unavailable):
        await eraser.tick()
    world.blobs.away = None
    await eraser.tick()
    assert await world.shown("job") == both(ALSO_GONE, STAYS)


async def test_files_are_read_only_once_and_only_where_something_was_erased(world: World) -> None:
    await world.train("job", [STAYS])
    await world.train("newer", [STAYS], cut=CUT + 10)
    eraser = world.eraser()
    await eraser.tick()
    assert world.blobs.read == []
    for at in (CUT + 1, CUT + 2):
        world.erase(GONE, at=at)
        await eraser.tick()
        await eraser.tick()
    assert world.blobs.read == ["evaluation.json"]
    assert world.blobs.writes == 0


async def test_what_an_attempt_left_before_another_took_over_goes_too(world: World) -> None:
    await world.leave("job", [file_of(GONE)], attempt=1)
    await world.train("job", attempt=2)
    world.erase(GONE)
    await world.eraser().tick()
    assert await world.shown("job", attempt=1) == both()
    assert await world.shown("job", attempt=2) == both(ALSO_GONE, STAYS)


async def test_a_job_that_left_no_report_is_passed_over(world: World) -> None:
    world.begin("failed")
    world.say(TrainingFailed(job="failed", attempt=1, rule="x", reason="y"))
    world.begin("refused", attempts=0)
    world.say(TrainingFailed(job="refused", attempt=0, rule="x", reason="y"))
    world.begin("under way")
    await world.train("job")
    world.erase(GONE)
    await world.eraser().tick()
    assert await world.shown("job") == both(ALSO_GONE, STAYS)


@pytest.mark.parametrize("broken", [b"{", None], ids=["damaged", "absent"])
async def test_a_report_is_rewritten_when_nothing_else_says_what_it_shows(world: World, broken: bytes | None) -> None:
    await world.train("job")
    key = keys.attempt("default", "job", 1, "evaluation.json")
    if broken is None:
        await world.blobs.delete(key)
    else:
        await world.blobs.put(key, broken)
    world.erase(GONE)
    await world.eraser().tick()
    found = await world.blobs.get(keys.attempt("default", "job", 1, "report.html"))
    assert images_in_page(found.data) == both(ALSO_GONE, STAYS)[0]


async def test_a_trainer_at_work_follows_erasures(trainer, tmp_path: Path) -> None:
    cut = trainer.annotate()
    erased, kept = (sha256_hex(f"image-{number}".encode()) for number in (cut, cut - 1))
    files = [file_of(image) for image in (erased, kept)]

    async def train_with_report(attempt: Attempt) -> TrainingLeft:
        left = await train(attempt)
        evaluated = await attempt.put("evaluation.json", evaluation(files))
        report = await attempt.put("report.html", page(files))
        return left.model_copy(update={"evaluation": evaluated, "report": report})

    await trainer.ask(cut)
    await (await trainer.started()).tick()
    await trainer.until_ended(train_with_report)
    given = Range(stream=ANNOTATION_EVENTS, first=cut + 1, last=cut + 1)
    answer = BatchAugmented(input=given, recipe=sha256_hex(b"recipe"), erased_images=(erased,))
    await trainer.broker.ensure_stream(BATCH_EVENTS)
    message = Envelope.of(answer, source="augmenter", answers="erasure", project="default").to_message()
    await trainer.broker.publisher(BATCH_EVENTS, "augmenter").publish([(1, message)])
    settings = TrainerSettings(
        broker=BrokerSettings(username="nobody", password=SecretStr("x")),
        store=StoreSettings(endpoint_url="http://127.0.0.1:1", access_key="nobody", secret_key=SecretStr("x")),
        state_dir=tmp_path / "new",
        trainer=TrainerGroup(min_new=0, poll_s=0.01),
    )
    running = asyncio.create_task(run(settings, Health(), trainer.broker, trainer.blobs, trainer.queue))
    reference = trainer.events()[-1].evaluation
    try:
        async with asyncio.timeout(20):
            while images_in_evaluation((await trainer.blobs.get(reference.key)).data) != {files[1]}:
                assert not running.done()
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert images_in_page(await read_rewritten(trainer.blobs, trainer.events()[-1].report)) == {files[1]}
