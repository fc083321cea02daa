"""What people ask for by hand: each is answered, and nothing is done twice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.errors import Unavailable
from labelstream.events.training import DatasetRef, TrainingCancelled, TrainingRequested
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import Job, Taken
from labelstream.trainings import retry_id
from labelstream.values import FileRef, sha256_hex
from labelstream_datasets.building.build import DatasetPlan, build, store
from labelstream_datasets.building.index import BatchIndex
from labelstream_datasets.options import DatasetOptions
from trainer.handler import REQUESTS
from trainer.orders import QUEUE, TrainingOrder
from trainer.recipe import OnTheFly, TrainingRecipe

from .deeds import TOO_FEW, train


class Killed(Exception):
    """The process ended here."""


@dataclass
class Unacknowledged:
    """A job whose taker is killed when it says done."""

    job: Job

    async def done(self) -> None:
        raise Killed


@dataclass
class DyingQueue(MemoryJobQueue):
    """A queue whose taker is killed when it acknowledges."""

    async def take(self, queue: str, wait_s: float = 1.0) -> Taken | None:
        taken = await super().take(queue, wait_s)
        return None if taken is None else Unacknowledged(taken.job)


@dataclass
class AwayForAnswers(MemoryBlobs):
    """A store that takes no answers while it is told so."""

    takes_answers: bool = False

    async def put(self, key: str, data: bytes) -> str:
        if "/answers/" in key and not self.takes_answers:
            raise Unavailable("object store", "it is away")
        return await super().put(key, data)


# ---- trainings


async def test_a_request_is_published_once_answered_and_then_acknowledged(trainer):
    answer = await trainer.ask(trainer.annotate())
    decider = await trainer.started()
    await decider.tick()
    await decider.tick()
    (requested,) = trainer.events()
    assert await trainer.answered(answer) == ("requested", requested.job, "")
    assert await trainer.waiting_requests() == 0


async def test_a_crash_before_the_acknowledgement_requests_nothing_twice(trainer):
    answer = await trainer.ask(trainer.annotate())
    dying = DyingQueue(_queues=trainer.queue._queues)
    with pytest.raises(Killed):
        await (await trainer.started(dying)).tick()
    assert trainer.said() == ["requested"]
    await dying.close()
    assert await trainer.waiting_requests() == 1
    await (await trainer.started()).tick()
    assert trainer.said() == ["requested"]
    assert (await trainer.answered(answer))[0] == "known"
    assert await trainer.waiting_requests() == 0


async def test_a_store_that_takes_no_answer_is_waited_for_and_the_answer_stays_true(trainer):
    trainer.blobs = AwayForAnswers()
    answer = await trainer.ask(trainer.annotate())
    decider = await trainer.started()
    with pytest.raises(Unavailable):
        await decider.tick()
    assert trainer.said() == ["requested"]
    trainer.blobs.takes_answers = True
    await decider.tick()
    assert (await trainer.answered(answer))[0] == "requested"
    assert await trainer.waiting_requests() == 0


async def test_a_request_waits_until_its_cut_was_augmented_however_often_it_is_delivered(trainer):
    last = trainer.annotate()
    answer = await trainer.ask(last + 10)
    decider = await trainer.started()
    for _ in range(3):
        await decider.tick()
        await trainer.queue.close()  # the connection is lost, the request comes again
    assert (trainer.said(), len(decider.counter.asked)) == ([], 1)
    assert await trainer.answered(answer) == (
        "waiting", None, "annotations up to offset 19 are asked for, and up to 9 they are augmented",
    )  # fmt: skip
    trainer.annotate()
    await decider.tick()
    assert (trainer.said(), len(decider.counter.asked)) == (["requested"], 0)
    assert (await trainer.answered(answer))[0] == "requested"
    assert await trainer.waiting_requests() == 0


async def test_a_request_that_is_repeated_while_it_waits_is_answered_both_times(trainer):
    last = trainer.annotate()
    answers = [await trainer.ask(last + 10) for _ in range(2)]
    decider = await trainer.started()
    await decider.tick()
    trainer.annotate()
    await decider.tick()
    assert trainer.said() == ["requested"]
    assert [(await trainer.answered(answer))[0] for answer in answers] == ["requested", "known"]
    assert await trainer.waiting_requests() == 0


BOTH = {"cut": 9, "dataset": {"key": "default/datasets/d/dataset.json", "sha256": "0" * 64, "size_bytes": 2}}
FOREIGN = {"dataset": {"key": "other/datasets/d/dataset.json", "sha256": "0" * 64, "size_bytes": 2}}
UNREADABLE = {
    "nothing": ({}, "not for nothing"),
    "text": ({"cut": "9"}, "cut: Input should be a valid integer"),
    "negative": ({"cut": -5}, "cut: Input should be greater"),
    "truth": ({"cut": True}, "cut: Input should be a valid integer"),
    "both": (BOTH, "not for cut and dataset"),
    "foreign": (FOREIGN, "other/datasets/d/dataset.json is no dataset of the project default"),
    "field": ({"cut": 9, "recipe": {"epoch": 3, "on_the_fly": {"flip": 1}}}, "a recipe: epoch, on_the_fly.flip"),
    "value": ({"cut": 9, "recipe": {"epochs": 0}}, "epochs: Input should be greater than or equal to 1"),
    "name": ({"cut": 9, "recipe": "/etc/passwd.yaml"}, "there is no training recipe '/etc/passwd.yaml'"),
}  # fmt: skip


@pytest.mark.parametrize("which", UNREADABLE)
async def test_a_request_that_makes_no_sense_is_answered_with_what_is_wrong_and_stops_nothing(trainer, which):
    payload, problem = UNREADABLE[which]
    answer = await trainer.put(payload)
    await trainer.ask(trainer.annotate())
    await (await trainer.started()).tick()
    outcome, job, reason = await trainer.answered(answer)
    assert (outcome, job) == ("refused", None)
    assert problem in reason
    assert trainer.said() == ["requested"]
    assert await trainer.waiting_requests() == 0


async def test_who_left_no_place_for_an_answer_finds_a_refusal_at_readyz_until_the_next_request(trainer):
    await trainer.queue.put(REQUESTS, Job(project="default", id="old", payload={"retry": "nothing"}))
    decider = await trainer.started()
    await decider.tick()
    (reason,) = trainer.health.report()["degraded"].values()
    assert reason.startswith("job.unknown: default has no job nothing")
    await trainer.ask(trainer.annotate())
    await decider.tick()
    assert trainer.health.report()["degraded"] == {}


async def test_a_project_that_this_trainer_does_not_train_is_refused(trainer):
    answer = await trainer.put({"cut": 3}, project="elsewhere")
    await (await trainer.started()).tick()
    outcome, _, reason = await trainer.answered(answer, project="elsewhere")
    assert (outcome, reason) == ("refused", "this trainer does not train elsewhere. It trains default.")


async def built_by_hand(trainer, last) -> DatasetRef:
    """Store a dataset that the trainer's own settings would not give."""
    options = DatasetOptions(min_box_area_percent=1)
    plan = DatasetPlan("default", last, sha256_hex(b"recipe"), ClassSchema(name="cars", classes=("car",)), options)
    return await store(trainer.blobs, await build(trainer.view, trainer.index, plan))


async def test_a_training_on_a_stored_dataset_is_requested_once_and_waits_for_nothing(trainer):
    dataset = await built_by_hand(trainer, trainer.annotate())
    trainer.index = BatchIndex()  # nothing was read yet
    decider = await trainer.started()
    for outcome in ("requested", "known"):
        answer = await trainer.ask_on(dataset.description)
        await decider.tick()
        assert (await trainer.answered(answer))[0] == outcome
    (requested,) = trainer.events()
    assert isinstance(requested, TrainingRequested)
    assert (requested.cause, requested.dataset) == ("request", dataset)
    assert await trainer.waiting_requests() == 0


@pytest.mark.parametrize("harm", ["gone", "changed", "foreign"])
async def test_a_stored_dataset_that_is_not_what_was_asked_for_is_refused_and_stops_nothing(trainer, harm):
    last = trainer.annotate()
    wanted = (await built_by_hand(trainer, last)).description
    if harm == "gone":
        await trainer.blobs.delete(wanted.key)
    else:
        await trainer.blobs.put(wanted.key, b"{}")
        wanted = FileRef.of(wanted.key, b"{}") if harm == "foreign" else wanted
    answer = await trainer.ask_on(wanted)
    await trainer.ask(last)
    decider = await trainer.started()
    await decider.tick()
    assert (await trainer.answered(answer))[0] == "refused"
    assert trainer.said() == ["requested"]
    assert decider.counter.asked == {}
    assert await trainer.waiting_requests() == 0


async def test_a_recipe_that_a_request_brings_is_a_job_of_its_own_with_all_its_fields(trainer):
    last = trainer.annotate()
    decider = await trainer.started()
    for recipe in (None, {"epochs": 7}, "demo"):
        await trainer.put({"cut": last, "recipe": recipe})
        await decider.tick()
    own, brought, shipped = trainer.events()
    assert len({own.job, brought.job, shipped.job}) == 3
    assert brought.recipe == trainer.recipe.model_copy(update={"epochs": 7}).model_dump(mode="json")
    assert shipped.recipe["architecture"] == "small"


async def test_single_fields_of_a_recipe_can_be_asked_for_otherwise(trainer):
    last = trainer.annotate()
    trainer.recipe = TrainingRecipe(on_the_fly=OnTheFly(fliplr=0.5))
    decider = await trainer.started()
    await trainer.put({"cut": last, "changes": {"seed": 3, "on_the_fly": {"scale": 0.2}}})
    answer = await trainer.put({"cut": last, "changes": {"seeds": 3}})
    await decider.tick()
    (requested,) = trainer.events()
    changed = trainer.recipe.model_copy(update={"seed": 3, "on_the_fly": OnTheFly(fliplr=0.5, scale=0.2)})
    assert requested.recipe == changed.model_dump(mode="json")
    assert (await trainer.answered(answer))[0] == "refused"


async def test_imported_weights_that_a_recipe_names_go_with_the_job_and_are_part_of_its_name(trainer):
    last = trainer.annotate()
    decider = await trainer.started()
    answer = await trainer.put({"cut": last, "recipe": {"weights": "street"}})
    await decider.tick()
    outcome, _, reason = await trainer.answered(answer)
    assert outcome == "refused"
    assert "begins with the weights 'street', and default has none of that name" in reason
    jobs = set()
    for weights in (b"one", b"other"):
        await trainer.import_weights("street", weights)
        await trainer.put({"cut": last, "recipe": {"weights": "street"}})
        await decider.tick()
        requested = trainer.events()[-1]
        assert requested.initial.weights.sha256 == sha256_hex(weights)
        taken = await trainer.queue.take(QUEUE, wait_s=0)
        assert TrainingOrder.model_validate(taken.job.payload).initial == requested.initial
        jobs.add(requested.job)
    assert len(jobs) == 2


async def test_a_recipe_names_no_weights_of_another_project(trainer):
    name = "../../other/weights/street"
    await trainer.import_weights(name, b"weights")
    answer = await trainer.put({"cut": trainer.annotate(), "changes": {"weights": name}})
    await (await trainer.started()).tick()
    outcome, _, reason = await trainer.answered(answer)
    assert (outcome, trainer.said()) == ("refused", [])
    assert "has none of that name" in reason


async def test_a_training_that_has_not_failed_is_not_requested_again(trainer):
    last = trainer.annotate()
    decider = await trainer.started()
    for _ in range(2):
        await trainer.ask(last)
        await decider.tick()
    await trainer.until_ended(train)
    answer = await trainer.ask(last)
    await (await trainer.started()).tick()
    assert trainer.said().count("requested") == 1
    assert await trainer.answered(answer) == ("known", trainer.events()[0].job, "")
    assert await trainer.waiting_requests() == 0


async def test_a_failed_training_is_requested_again_for_whoever_asks_again(trainer):
    last = trainer.annotate(TOO_FEW)
    decider = await trainer.started()
    for _ in range(3):
        await trainer.ask(last)
        await decider.tick()
    assert trainer.said() == ["requested", "failed"] * 3
    first, second, third = [e for e in trainer.events() if isinstance(e, TrainingRequested)]
    assert (first.retry_of, second.retry_of, third.retry_of) == (None, first.job, second.job)
    assert (second.job, third.job) == (retry_id(first.job), retry_id(retry_id(first.job)))


# ---- retries and cancelling


async def test_a_failed_job_is_done_again_under_a_derived_id_with_all_it_was_asked_for(trainer):
    last = trainer.annotate(TOO_FEW)
    decider = await trainer.started()
    await trainer.put({"cut": last, "recipe": {"epochs": 7}})
    await decider.tick()
    first = trainer.events()[0]
    answer = await trainer.put({"retry": first.job})
    await decider.tick()
    again = trainer.events()[2]
    assert trainer.said() == ["requested", "failed"] * 2
    assert again == first.model_copy(update={"job": retry_id(first.job), "retry_of": first.job})
    assert await trainer.answered(answer) == ("requested", again.job, "")


async def test_a_cancelled_job_is_done_again_once_however_often_that_is_asked_for(trainer):
    await trainer.ask(trainer.annotate())
    decider = await trainer.started()
    await decider.tick()
    job = trainer.events()[0].job
    await trainer.put({"cancel": job})
    await decider.tick()
    answers = [await trainer.put({"retry": job}) for _ in range(2)]
    await decider.tick()
    assert trainer.said() == ["requested", "cancelled", "requested"]
    again = retry_id(job)
    assert [await trainer.answered(answer) for answer in answers] == [("requested", again, ""), ("known", again, "")]
    await trainer.until_ended(train)
    answer = await trainer.put({"retry": job})
    await (await trainer.started()).tick()
    assert await trainer.answered(answer) == ("known", again, "")


async def test_what_can_not_be_retried_or_cancelled_is_refused_with_the_reason(trainer):
    await trainer.ask(trainer.annotate())
    decider = await trainer.started()
    await decider.tick()
    job = trainer.events()[0].job

    async def refused(payload):
        answer = await trainer.put(payload)
        await decider.tick()
        outcome, _, reason = await trainer.answered(answer)
        assert outcome == "refused"
        return reason

    assert await refused({"retry": job}) == f"the job {job} is requested. Cancel it first, or wait for it."
    assert (await refused({"cancel": "nothing"})).startswith("default has no job nothing.")
    assert (await refused({"retry": "nothing"})).startswith("default has no job nothing.")
    await trainer.until_ended(train)
    decider = await trainer.started()
    assert (await refused({"retry": job})).startswith(f"the job {job} is finished.")
    assert await refused({"cancel": job}) == f"the job {job} has ended: finished. There is nothing to cancel."


async def test_a_job_that_nobody_holds_is_cancelled_at_once_and_a_worker_finds_the_mark(trainer):
    await trainer.ask(trainer.annotate())
    decider = await trainer.started()
    await decider.tick()
    job = trainer.events()[0].job
    answers = [await trainer.put({"cancel": job, "reason": "wrong labels"}) for _ in range(2)]
    await decider.tick()
    cancelled = trainer.events()[-1]
    assert cancelled == TrainingCancelled(job=job, attempt=0, reason="wrong labels")
    assert [await trainer.answered(answer) for answer in answers] == [("cancelled", job, "")] * 2
    assert await trainer.mark(job) == "wrong labels"
    await (await trainer.started()).tick()
    assert trainer.said() == ["requested", "cancelled"]
