"""Several formats: what waits delays nothing, what comes later makes a new edition, what waits too long is refused."""

from __future__ import annotations

import pytest

from exporter.domain import export_job_id
from exporter.exporting.announced import LOOK_EVERY_S
from exporter.exporting.looking import ABSENT_LOOK_EVERY_S
from labelstream import keys
from labelstream.bundle import Manifest
from labelstream.errors import Rejected, Unavailable
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported, ModelPromoted, ModelRefused, ModelWithdrawn
from labelstream.formats import Format
from labelstream.streams.amqp import decode

from .stand import ENGINE, ONNX, OPENVINO, disagreeing, export

HOUR = 3600.0
BOTH = f"{ONNX} {OPENVINO}"


async def ticked(exporter, decider, times: int = 1) -> None:
    """Let a decider look again, later."""
    for _ in range(times):
        exporter.now_s += ABSENT_LOOK_EVERY_S + LOOK_EVERY_S
        await decider.tick()


async def manifest_of(exporter, exported: ModelExported) -> Manifest:
    return Manifest.model_validate_json((await exporter.models.get(exported.manifest.key)).data)


@pytest.fixture
async def three(exporter):
    """An exporter that is told to make three formats, and has workers for two of them."""
    await exporter.there(ONNX, OPENVINO)
    await exporter.train("t1")
    return exporter.told(formats=(ONNX, OPENVINO, ENGINE))


async def test_each_format_has_a_job_in_the_queue_of_those_who_can_build_it(three):
    await (await three.started()).tick()
    jobs = [await three.queue.take(Format.parse(name).queue, wait_s=0) for name in (ONNX, OPENVINO, ENGINE)]
    assert [taken and taken.job.payload["format"] for taken in jobs] == [ONNX, OPENVINO, None]


async def test_a_model_goes_out_with_what_is_built_and_names_what_waits(three):
    await three.answered()
    exported, promoted = three.events()
    assert [each.name for each in exported.artifacts] == [ONNX, OPENVINO]
    assert (exported.waiting, promoted.model) == ((ENGINE,), exported.model)
    assert [each.name for each in (await manifest_of(three, exported)).artifacts] == [ONNX, OPENVINO]


async def test_formats_stand_in_a_bundle_in_the_order_that_was_told(three):
    three.told(formats=(OPENVINO, ENGINE, ONNX))
    await three.answered()
    assert three.said()[0] == f"exported {OPENVINO} {ONNX}"


async def test_nothing_is_published_while_a_worker_is_still_at_a_format(three):
    decider = await three.started()
    await decider.tick()
    await three.work(export, ONNX)
    await ticked(three, decider, 3)
    assert three.said() == []
    await three.work(export, OPENVINO)
    await ticked(three, decider)
    assert three.said()[0] == f"exported {BOTH}"


async def test_a_format_that_takes_too_long_comes_later_and_holds_the_model_up_no_more(three):
    three.told(slow_s=HOUR)
    decider = await three.started()
    await decider.tick()
    await three.work(export, ONNX)
    await decider.tick()
    three.now_s += HOUR
    await decider.tick()
    assert three.of(ModelExported)[0].waiting == (OPENVINO, ENGINE)
    await three.work(export, OPENVINO)
    await decider.tick()
    assert three.said() == [f"exported {ONNX}", "promoted by policy", f"exported {BOTH}", "promoted by edition"]


async def test_what_waits_is_shown_with_the_reason_and_delays_no_other_training(three):
    await three.train("t2", 0.6)
    await three.answered()
    assert [event.job for event in three.of(ModelExported)] == ["t1", "t2"]
    report = three.health.report()
    assert [each["format"] for each in report["waiting_formats"]["default"]] == [ENGINE, ENGINE]
    assert report["degraded"]["formats of default"] == (
        f"{ENGINE} waits: no worker takes jobs.export.tensorrt.sm_90: "
        "worker takes jobs.export.onnx, jobs.export.openvino; 1 more wait"
    )


async def test_a_training_waits_as_a_whole_where_nobody_can_build_anything(three):
    await three.gone()
    decider = await three.started()
    await ticked(three, decider, 3)
    assert three.said() == []
    assert [each.format for each in decider.exporting.waiting["default"]] == [ONNX, OPENVINO, ENGINE]
    await three.there(ONNX)
    await ticked(three, decider)
    await three.work()
    await ticked(three, decider)
    assert three.of(ModelExported)[0].waiting == (OPENVINO, ENGINE)


async def test_a_format_that_waited_makes_a_new_edition_with_a_key_of_its_own_that_serves_at_once(three):
    await three.answered()
    await three.there(ENGINE, worker="gpu")
    decider = await three.started()
    await decider.tick()
    await three.work(export, ENGINE)
    await decider.tick()
    assert three.said()[2:] == [f"exported {BOTH} {ENGINE}", "promoted by edition"]
    first, second = three.of(ModelExported)
    assert (second.edition, second.job, second.waiting) == (2, first.job, ())
    assert second.model != first.model
    manifests = [await manifest_of(three, each) for each in (first, second)]
    assert manifests[0].recipient != manifests[1].recipient
    assert [each.edition for each in manifests] == [1, 2]
    assert three.of(ModelPromoted)[1].model == second.model


async def test_a_new_edition_of_a_model_that_does_not_serve_is_only_exported(three):
    await three.answered()
    await three.train("t2", 0.6)
    await three.answered()
    await three.there(ENGINE, worker="gpu")
    await three.answered()
    assert [event.job for event in three.of(ModelExported)] == ["t1", "t2", "t1", "t2"]
    assert [event.cause for event in three.of(ModelPromoted)] == ["policy", "policy", "edition"]
    assert three.of(ModelPromoted)[-1].model == three.of(ModelExported)[-1].model


async def test_two_formats_that_come_together_make_one_edition(three):
    await three.gone()
    await three.there(ONNX)
    await three.answered()
    await three.there(OPENVINO, ENGINE, worker="gpu")
    await three.answered()
    assert [event.edition for event in three.of(ModelExported)] == [1, 2]


async def test_what_waits_follows_from_the_log_and_not_from_today_s_settings(three):
    await three.answered()
    three.told(formats=(ONNX, "onnx-int8"))
    await three.there(ONNX, ENGINE)
    await three.answered()
    await three.work(export, ENGINE)
    await (await three.started()).tick()
    assert three.said()[-2] == f"exported {ONNX} {OPENVINO} {ENGINE}"


async def test_what_nobody_could_build_for_a_day_is_refused_and_the_model_stays(three):
    await three.answered()
    decider = await three.started()
    await ticked(three, decider)
    three.now_s += 24 * HOUR
    await decider.tick()
    await ticked(three, decider, 120)
    (refused,) = three.of(ModelRefused)
    assert (refused.job, refused.format, refused.rule) == ("t1", ENGINE, "export.no_worker")
    assert refused.reason.startswith("it waited 25.")
    assert "no worker takes jobs.export.tensorrt.sm_90: worker takes jobs.export.onnx" in refused.reason
    assert decider.exporting.waiting == {"default": []}


async def test_a_training_that_nobody_could_export_for_a_day_has_no_model(three):
    await three.gone()
    decider = await three.started()
    await decider.tick()
    three.now_s += 24 * HOUR
    await ticked(three, decider, 130)
    assert three.said() == [f"refused {ONNX}", f"refused {OPENVINO}", f"refused {ENGINE}", "refused all"]
    await ticked(three, await three.started(), 25)
    assert len(three.said()) == 4


async def test_a_decider_that_was_away_for_a_day_gives_workers_time_to_announce_themselves(three):
    await three.gone()
    three.now_s += 48 * HOUR
    decider = await three.started()
    await ticked(three, decider, 3)
    assert three.said() == []
    await three.there(ONNX, OPENVINO)
    await ticked(three, decider)
    await three.work()
    await ticked(three, decider)
    assert three.said()[0] == f"exported {BOTH}"


async def test_a_decider_that_just_started_does_not_take_a_silent_worker_for_gone(three):
    await three.gone()
    await three.there(ONNX)
    three.told(absent_s=60.0)
    decider = await three.started()
    await decider.tick()
    await three.work()
    await decider.tick()
    assert three.said() == []
    await three.there(OPENVINO, worker="slow starter")
    for _ in range(7):
        three.now_s += 10
        await decider.tick()
        await three.work()
    assert three.said()[0] == f"exported {BOTH}"
    assert three.of(ModelExported)[0].waiting == (ENGINE,)


async def test_workers_that_could_not_announce_themselves_in_an_outage_are_not_taken_for_gone(three):
    three.told(absent_s=60.0)
    decider = await three.started()
    await decider.tick()
    three.data.away = "maintenance"
    three.now_s += HOUR
    with pytest.raises(Unavailable):
        await decider.tick()
    three.data.away = None
    await three.gone()  # their announcements have lapsed
    await decider.tick()
    await three.work(export, ONNX)
    await decider.tick()
    assert three.said() == []


async def test_a_refused_format_is_missing_and_the_others_go_out(three):
    decider = await three.started()
    await decider.tick()
    await three.work(export, ONNX)
    await three.work(disagreeing(max_score=0.2), OPENVINO)
    await decider.tick()
    assert three.said() == [f"refused {OPENVINO}", f"exported {ONNX}", "promoted by policy"]
    assert three.of(ModelExported)[0].waiting == (ENGINE,)


async def test_a_format_that_is_refused_after_it_waited_makes_no_edition(three):
    await three.answered()
    await three.there(ENGINE, worker="gpu")
    await three.answered(disagreeing(unmatched=3))
    assert three.said()[2:] == [f"refused {ENGINE}"]


async def test_a_new_edition_lacks_nothing_that_the_one_before_has(three):
    await three.answered()
    for key in [each.key async for each in three.data.list("") if each.key.endswith(f"/{ONNX}")]:
        await three.data.delete(key)
    await three.there(ENGINE, worker="gpu")
    await three.answered()
    (refused,) = three.of(ModelRefused)
    assert (refused.format, refused.rule) == (ENGINE, "export.edition_incomplete")
    assert ONNX in refused.reason
    assert len(three.of(ModelExported)) == 1


async def test_a_format_of_an_earlier_edition_that_was_made_again_goes_out_only_if_it_agrees(three):
    async def made_otherwise(attempt):
        left = await disagreeing(unmatched=9)(attempt)
        return left.model_copy(update={"artifact": await attempt.put("other", b"other weights")})

    await three.answered()
    again = keys.job("default", export_job_id("default", three.finished[0], ONNX), "")
    for key in [each.key async for each in three.data.list(again)]:
        await three.data.delete(key)
    await three.there(ONNX, OPENVINO, ENGINE)
    await three.answered()
    await three.work(made_otherwise, ONNX)
    await (await three.started()).tick()
    (refused,) = three.of(ModelRefused)
    assert (refused.format, refused.rule) == (ENGINE, "export.edition_incomplete")
    assert f"{ONNX} (9 of 9 boxes have no partner)" in refused.reason
    assert len(three.of(ModelExported)) == 1


async def test_weights_that_are_withdrawn_while_an_edition_is_sealed_get_none(three):
    await three.answered()
    await three.there(ENGINE, worker="gpu")
    decider = await three.started()
    await decider.tick()
    await three.work(export, ENGINE)
    (exported,), upload = three.of(ModelExported), three.models.upload

    async def withdrawn_meanwhile(path, key):
        if not three.of(ModelWithdrawn):
            await decider.exporting.voice.say(ModelWithdrawn(model=exported.model, reason="bad"), "default")
        return await upload(path, key)

    three.models.upload = withdrawn_meanwhile
    await ticked(three, decider, 2)
    assert three.said()[2:] == ["withdrawn"]


async def test_nothing_is_added_to_weights_that_were_withdrawn(three):
    await three.answered()
    decider = await three.started()
    (exported,) = three.of(ModelExported)
    await decider.exporting.voice.say(ModelWithdrawn(model=exported.model, reason="bad"), "default")
    await three.there(ENGINE, worker="gpu")
    await ticked(three, decider)
    assert await three.queue.take(Format.parse(ENGINE).queue, wait_s=0) is None
    assert decider.exporting.waiting == {"default": []}


async def test_a_worker_that_left_its_result_and_went_is_not_forgotten(three):
    decider = await three.started()
    await decider.tick()
    await three.work()
    await three.gone()
    await (await three.started()).tick()
    assert three.said()[0] == f"exported {BOTH}"


@pytest.mark.parametrize("deaths", ["every tick", "every event"])
async def test_a_decider_that_dies_at_every_step_leaves_no_gap_and_says_nothing_twice(three, deaths):
    for step in range(12):
        if step == 5:
            await three.there(ENGINE, worker="gpu")
        decider = await three.started()
        if deaths == "every event":
            _dies_after_one_event(decider)
        try:
            await ticked(three, decider)
        except _Death:
            continue
        await three.work(disagreeing(unmatched=9), OPENVINO)
        await three.work()
    assert three.said() == [
        f"refused {OPENVINO}", f"exported {ONNX}", "promoted by policy", f"exported {ONNX} {ENGINE}",
        "promoted by edition",
    ]  # fmt: skip


class _Death(Exception):
    """The process is killed."""


def _dies_after_one_event(decider) -> None:
    append = decider.exporting.voice.journal.append

    async def dying(*what):
        await append(*what)
        raise _Death

    decider.exporting.voice.journal.append = dying


async def test_what_fails_for_good_in_one_format_leaves_the_others_alone(three):
    async def fail(_):
        raise Rejected("export.unbuildable", "an operator is missing", "See the log.")

    decider = await three.started()
    await decider.tick()
    await three.work(fail, OPENVINO)
    await three.work(export, ONNX)
    await decider.tick()
    assert three.said()[:2] == [f"refused {OPENVINO}", f"exported {ONNX}"]


async def test_a_training_is_traced_through_its_refusals_and_its_model(three):
    await three.answered()
    raw = three.broker.stored("model-events")
    envelopes = [Envelope.from_message(decode(each.raw)) for each in raw]
    assert len({each.flow for each in envelopes}) == 1
    assert len({each.id for each in envelopes}) == len(envelopes)


async def test_nobody_lists_the_jobs_of_a_format_that_nobody_can_build_again_and_again(three):
    await three.gone()
    decider = await three.started()
    await decider.tick()
    looked: list[str] = []
    head = three.data.head

    async def counted(key: str):
        looked.append(key)
        return await head(key)

    three.data.head = counted
    for _ in range(20):
        three.now_s += 1
        await decider.tick()
    assert [key for key in looked if key.startswith(keys.jobs("default"))] == []
