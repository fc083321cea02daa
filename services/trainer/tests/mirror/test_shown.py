"""What a person sees in MLflow, on the double; the contract suite holds the real one to it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from labelstream.events.base import MODEL_EVENTS, TRAINING_EVENTS
from labelstream.values import FileRef
from trainer.mirror.changes import Measure, RunChange
from trainer.mirror.describing import MOST_WEIGHTS_BYTES
from trainer.mirror.memory import MemoryTracking

from .reading import readable
from .story import DATASET, FILES, MODELS, TRAININGS, World, finished, progressed, requested


async def _world() -> tuple[World, MemoryTracking]:
    tracking = MemoryTracking()
    world = World(tracking)
    await world.prepare()
    return world, tracking


async def test_a_run_shows_recipe_dataset_epochs_test_figures_and_files():
    world, tracking = await _world()
    await world.say(*TRAININGS)
    await world.mirror_all()
    run = tracking.projects[world.project].runs["a"]
    assert run.status == "FINISHED"
    assert run.params["lr0"] == "0.002"
    assert run.params["on_the_fly.mosaic"] == "0.5"
    assert run.params["dataset"] == DATASET.id
    assert run.dataset is not None
    assert run.dataset.profile == {"train": 70, "val": 20, "test": 10, "test_images": 10}
    points = {(m.name, m.step): m.value for m in run.measures}
    assert [points["val/map50", epoch] for epoch in (1, 2, 3)] == [0.1, 0.2, 0.3]
    assert points["test/map50", 2] == 0.5
    assert points["test/map50_high", 2] == 0.6
    assert points["test/class/truck_large _3_5 t_", 2] == 0.25
    assert points["champion/difference", 2] == 0.1
    assert set(run.files) == {"report.html", "card.md", "model/weights.safetensors", "model/architecture.json"}
    assert run.files["report.html"] == FILES["report"].sha256
    assert run.tags["labelstream.report"] == FILES["report"].key
    assert "out-of-memory" in next(value for name, value in run.tags.items() if "recovered" in name)


async def test_each_end_of_a_job_is_shown():
    world, tracking = await _world()
    await world.say(*TRAININGS)
    await world.mirror_all()
    runs = tracking.projects[world.project].runs
    states = {job: run.status for job, run in runs.items()}
    assert states == {"a": "FINISHED", "b": "FAILED", "c": "KILLED", "d": "KILLED", "e": "FINISHED", "f": "SCHEDULED"}
    assert runs["b"].tags["labelstream.rule"] == "not-finite"
    assert any(math.isnan(measure.value) for measure in runs["b"].measures)
    assert "model/weights.safetensors" in runs["d"].files
    assert runs["c"].files == {}


async def test_the_alias_follows_the_promotions():
    world, tracking = await _world()
    await world.say(*TRAININGS, *MODELS[:4])
    await world.mirror_all()
    assert tracking.projects[world.project].champion == 2
    await world.say(*MODELS[4:])
    await world.mirror_all()
    shown = tracking.projects[world.project]
    assert [(version.model, version.job) for version in shown.versions] == [("m1", "a"), ("m2", "e")]
    assert shown.champion == 1
    assert shown.versions[1].tags["labelstream.withdrawn"] == "it sees ghosts"
    assert shown.runs["f"].tags["labelstream.refused"] == "disagrees: boxes differ"
    assert shown.runs["f"].tags["labelstream.refused.onnx-int8"] == "disagrees: a score differs"


async def test_a_figure_stands_at_its_epoch_and_time():
    world, tracking = await _world()
    await world.say(*TRAININGS[:3])
    await world.mirror_all()
    measures = tracking.projects[world.project].runs["a"].measures
    assert Measure("train/box_loss", 1.0, 1, 1_700_000_003_000) in measures


async def test_weights_too_large_to_copy_are_referred_to():
    world, tracking = await _world()
    large = FileRef(key="large", sha256=FILES["weights"].sha256, size_bytes=MOST_WEIGHTS_BYTES + 1)
    await world.say(requested("a"), finished("a", weights=large))
    await world.mirror_all()
    run = tracking.projects[world.project].runs["a"]
    assert "model/weights.safetensors" not in run.files
    assert run.tags["labelstream.weights"] == "large"
    assert run.tags["labelstream.weights_sha256"] == large.sha256


async def test_a_file_that_was_collected_since_is_left_out():
    world, tracking = await _world()
    await world.blobs.delete(FILES["report"].key)
    await world.say(requested("a"), finished("a"))
    await world.mirror_all()
    run = tracking.projects[world.project].runs["a"]
    assert run.status == "FINISHED"
    assert "report.html" not in run.files
    assert "card.md" in run.files


async def test_another_project_is_not_shown_in_this_one():
    world, tracking = await _world()
    await world.say(requested("theirs"), project="another")
    await world.say(requested("ours"))
    await world.mirror_all()
    assert set(tracking.projects) == {"default"}
    assert set(tracking.projects["default"].runs) == {"ours"}


async def test_while_mlflow_is_away_the_trainer_stays_ready_and_later_it_catches_up():
    world, tracking = await _world()
    async with world.mirrored():
        await world.say(*TRAININGS[:3])
        await world.until_mirrored()
        tracking.away = "connection refused"
        await world.say(*TRAININGS[3:], *MODELS)
        await _until(lambda: "MLflow" in world.health.report()["degraded"])
        assert "connection refused" in world.health.report()["degraded"]["MLflow"]
        assert world.health.is_ready
        tracking.away = None
        await world.until_mirrored()
        await _until(lambda: world.health.report()["degraded"] == {})
    await _assert_as_made_anew(world, tracking)


class Strange(MemoryTracking):
    """A tracking server that gives an answer that none gives, once."""

    is_strange = True

    async def change_run(self, project: str, change: RunChange) -> None:
        """Change the run of a job."""
        if self.is_strange:
            self.is_strange = False
            raise KeyError("run_id")
        await super().change_run(project, change)


async def test_an_answer_that_nobody_foresaw_does_not_end_the_trainer():
    world = World(tracking := Strange())
    await world.prepare()
    await world.say(requested("a"))
    await world.mirror_all()
    assert set(tracking.projects["default"].runs) == {"a"}


async def test_while_the_object_store_is_away_its_files_are_waited_for():
    world, tracking = await _world()
    world.blobs.away = "no route"
    async with world.mirrored():
        await world.say(requested("a"), finished("a"))
        await _until(lambda: "MLflow" in world.health.report()["degraded"])
        assert world.health.is_ready
        world.blobs.away = None
        await world.until_mirrored()
    assert "report.html" in tracking.projects["default"].runs["a"].files


async def test_a_server_that_lost_everything_is_filled_again():
    world, tracking = await _world()
    async with world.mirrored():
        await world.say(*TRAININGS)
        await world.until_mirrored()
        tracking.forget()
        await world.say(*MODELS)
        await _until(lambda: "default" in tracking.projects)
        await world.until_mirrored()
    await _assert_as_made_anew(world, tracking)


async def test_streams_that_are_others_since_are_mirrored_from_their_beginning():
    world, tracking = await _world()
    await world.say(*TRAININGS)
    await world.mirror_all()
    another = World(tracking)
    await another.prepare()
    await another.say(requested("new"), progressed("new", 1))
    await another.mirror_all()
    assert tracking.projects["default"].runs["new"].tags["labelstream.cause"] == "policy"
    assert tracking.projects["default"].places[TRAINING_EVENTS].offset == 1


async def test_a_mirror_that_is_started_again_goes_on_where_it_was():
    world, tracking = await _world()
    await world.say(*TRAININGS)
    await world.mirror_all()
    tracking.projects["default"].runs.clear()  # so that what is mirrored again can be seen
    await world.say(progressed("f", 1))
    await world.mirror_all()
    assert set(tracking.projects["default"].runs) == {"f"}


async def test_what_is_no_event_is_passed_over():
    world, tracking = await _world()
    world.broker.write_raw(MODEL_EVENTS, b"no message")
    world.broker.write_raw(TRAINING_EVENTS, b"no message")
    await world.say(*TRAININGS, *MODELS)
    await world.mirror_all()
    assert tracking.projects["default"].champion == 1


async def _until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not happened():  # noqa: ASYNC110  nobody could tell us
            await asyncio.sleep(0)


async def _assert_as_made_anew(world: World, tracking: MemoryTracking) -> None:
    anew = MemoryTracking()
    await World(anew, world.project, world.broker, world.blobs).mirror_all()
    assert readable(anew.projects[world.project]) == readable(tracking.projects[world.project])
