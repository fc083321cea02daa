"""The decider: what becomes of a finished training, and which model serves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exporter.worker import QUEUE, ExportLeft, ExportOrder
from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Rejected, Unavailable
from labelstream.events.model import Agreement, ModelExported, ModelPromoted, ModelRefused
from labelstream.jobs.worker import Attempt
from labelstream.protection.grants import open_grant
from labelstream.values import FileRef

AGREES = Agreement(images=5, boxes=9, unmatched=0, max_box_px=0.01, max_score=0.001)


async def leave(attempt: Attempt, artifact: FileRef, agreement: Agreement = AGREES) -> ExportLeft:
    return ExportLeft(artifact=artifact, agreement=agreement, golden=(), image_size=64, versions={})


@dataclass
class Flapping(MemoryBlobs):
    """A store that is away at the first write of every object."""

    tried: list[str] = field(default_factory=list)

    async def put(self, key: str, data: bytes) -> str:
        self.tried.append(key)
        if self.tried.count(key) == 1:
            raise Unavailable("object store", "it flaps")
        return await super().put(key, data)


async def test_a_finished_training_becomes_a_job_then_a_model_that_serves_and_is_granted(exporter):
    await exporter.train("t1")
    decider = await exporter.started()
    await decider.tick()
    taken = await exporter.queue.take(QUEUE, wait_s=0)
    order = ExportOrder.model_validate(taken.job.payload)
    assert (order.weights.key, exporter.said()) == ("weights of t1", [])
    await exporter.queue.close()  # the worker that took it dies
    await exporter.work()
    await decider.tick()
    assert exporter.said() == ["exported", "promoted"]
    exported, promoted = exporter.events()
    assert isinstance(exported, ModelExported)
    assert isinstance(promoted, ModelPromoted)
    assert (exported.job, exported.input.offset) == ("t1", 0)
    assert (promoted.model, promoted.number, promoted.reason) == (exported.model, 1, "the project's first model")
    sealed = (await exporter.resources.get(keys.grant("default", exported.model, "kiosk"))).data
    assert open_grant(sealed, exporter.device_identity, now_ms=0).model == exported.model
    for file in (exported.manifest, exported.signature, *(each.big_part for each in exported.artifacts)):
        assert FileRef.of(file.key, (await exporter.models.get(file.key)).data) == file


async def test_a_decider_that_dies_at_every_step_says_nothing_twice(exporter):
    await exporter.train("t1")
    for _ in range(3):
        await (await exporter.started()).tick()
        await exporter.work()
    await (await exporter.started()).tick()
    assert exporter.said() == ["exported", "promoted"]


async def test_a_model_that_was_exported_before_a_crash_is_promoted_after_it(exporter):
    await exporter.train("t1")
    decider = await exporter.started()
    await decider.tick()
    await exporter.work()
    (trained,) = decider.ledger.unanswered()
    await decider._export(trained)
    assert exporter.said() == ["exported"]
    await (await exporter.started()).tick()
    assert exporter.said() == ["exported", "promoted"]


async def test_a_format_that_disagrees_is_refused_with_the_numbers(exporter):
    apart = Agreement(images=5, boxes=9, unmatched=2, max_box_px=0.01, max_score=0.001)

    async def export(attempt: Attempt) -> ExportLeft:
        return await leave(attempt, await attempt.put("onnx-fp32.onnx", b"w"), apart)

    await exporter.train("t1")
    await exporter.answered(export)
    (refused,) = exporter.events()
    assert isinstance(refused, ModelRefused)
    assert (refused.job, refused.rule, refused.agreement) == ("t1", "export.disagrees", apart)
    assert refused.reason == "2 of 9 boxes have no partner"
    assert [each async for each in exporter.models.list("")] == []


async def test_an_artifact_that_is_gone_is_refused_and_the_next_training_is_exported(exporter):
    async def lose(attempt: Attempt) -> ExportLeft:
        return await leave(attempt, FileRef.of("nowhere", b"w"))

    await exporter.train("t1")
    await exporter.answered(lose)
    (refused,) = exporter.events()
    assert isinstance(refused, ModelRefused)
    assert (refused.job, refused.rule) == ("t1", "object.missing")
    await exporter.train("t2")
    await exporter.answered()
    assert exporter.said() == ["refused", "exported", "promoted"]


async def test_an_artifact_that_was_exchanged_is_refused(exporter):
    async def exchange(attempt: Attempt) -> ExportLeft:
        left = await leave(attempt, await attempt.put("onnx-fp32.onnx", b"proved"))
        await exporter.data.put(left.artifact.key, b"another")
        return left

    await exporter.train("t1")
    await exporter.answered(exchange)
    assert [event.rule for event in exporter.events()] == ["object.changed"]


async def test_what_a_worker_could_not_export_is_refused_for_its_reason(exporter):
    async def fail(_: Attempt) -> ExportLeft:
        raise Rejected("export.unsupported", "an operator is missing", "See the log.")

    await exporter.train("t1")
    await exporter.answered(fail)
    assert [(event.rule, event.reason) for event in exporter.events()] == [
        ("export.unsupported", "an operator is missing")
    ]


async def test_a_better_second_model_is_promoted_and_a_worse_one_is_not(exporter):
    for job, map50_95 in (("t1", 0.5), ("t2", 0.6), ("t3", 0.4)):
        await exporter.train(job, map50_95)
        await exporter.answered()
    assert exporter.said() == ["exported", "promoted", "exported", "promoted", "exported"]
    first, second = [event for event in exporter.events() if isinstance(event, ModelPromoted)]
    better = next(e for e in exporter.events() if isinstance(e, ModelExported) and e.job == "t2")
    assert (first.number, second.number, second.model) == (1, 2, better.model)


async def test_of_two_candidates_the_better_one_alone_is_promoted(exporter):
    await exporter.train("t1", 0.4)
    await exporter.train("t2", 0.6)
    await exporter.answered()
    assert exporter.said() == ["exported", "exported", "promoted"]
    _, better, promoted = exporter.events()
    assert isinstance(better, ModelExported)
    assert (better.job, promoted.model) == ("t2", better.model)


async def test_a_store_that_flaps_while_a_bundle_is_published_gets_one_bundle(exporter):
    exporter.models = Flapping()
    await exporter.train("t1")
    await exporter.answered()
    exported, _ = exporter.events()
    found = [each.key async for each in exporter.models.list("")]
    assert len(found) == 4  # manifest, signature, and the big parts of the artifact and the golden set
    assert {Path(key).parent for key in found} == {Path(keys.model("default", exported.model))}
    assert sorted(exporter.models.tried) == sorted(found * 2)
    assert len([each async for each in exporter.resources.list("default/model-keys/")]) == 1


async def test_a_model_whose_key_is_lost_is_not_promoted_and_somebody_is_told(exporter):
    await exporter.train("t1")
    decider = await exporter.started()
    await decider.tick()
    await exporter.work()
    await decider._export(decider.ledger.unanswered()[0])
    (exported,) = exporter.events()
    await exporter.resources.delete(keys.model_key("default", exported.model))
    await decider.tick()
    assert exporter.said() == ["exported"]
    assert "grant.no_model_key" in exporter.health.report()["degraded"]["grants of default"]


async def test_a_store_that_is_away_delays_the_model_and_nothing_else(exporter):
    await exporter.train("t1")
    decider = await exporter.started()
    await decider.tick()
    await exporter.work()
    exporter.data.away = "maintenance"
    with pytest.raises(Unavailable):
        await decider.tick()
    assert exporter.said() == []
    exporter.data.away = None
    await decider.tick()
    assert exporter.said() == ["exported", "promoted"]
