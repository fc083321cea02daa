"""The decider: what becomes of a finished training that is exported to one format, and which model serves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exporter.exporting.orders import ExportLeft, ExportOrder
from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import REPORT, Manifest
from labelstream.errors import Rejected, Unavailable
from labelstream.events.model import AgreementLimits, ModelExported, ModelPromoted, ModelRefused
from labelstream.formats import Format
from labelstream.jobs.worker import Attempt
from labelstream.protection.grants import open_model_key
from labelstream.values import FileRef, sha256_hex

from .stand import ONNX, REFERENCE, disagreeing, export, unproven

QUEUE = Format.parse(ONNX).queue


@dataclass
class Flapping(MemoryBlobs):
    """A store that is away at the first write of every object."""

    tried: list[str] = field(default_factory=list)

    async def put(self, key: str, data: bytes) -> str:
        self.tried.append(key)
        if self.tried.count(key) == 1:
            raise Unavailable("object store", "it flaps")
        return await super().put(key, data)


async def test_a_finished_training_becomes_a_job_then_a_model_that_serves(exporter):
    await exporter.train("t1")
    decider = await exporter.started()
    await decider.tick()
    taken = await exporter.queue.take(QUEUE, wait_s=0)
    order = ExportOrder.model_validate(taken.job.payload)
    assert (order.format, order.weights.key, exporter.said()) == (ONNX, "weights of t1", [])
    await exporter.queue.close()  # the worker that took it dies
    await exporter.work()
    await decider.tick()
    assert exporter.said() == [f"exported {ONNX}", "promoted by policy"]
    exported, promoted = exporter.events()
    assert (exported.job, exported.input.offset, exported.edition, exported.waiting) == ("t1", 0, 1, ())
    assert (promoted.model, promoted.number) == (exported.model, 1)
    files = (exported.manifest, exported.signature, exported.report, *(each.big_part for each in exported.artifacts))
    for file in files:
        assert FileRef.of(file.key, (await exporter.models.get(file.key)).data) == file


@pytest.mark.parametrize(
    ("found", "allowed", "said"),
    [
        ({}, (), [f"refused {ONNX}", "refused all"]),
        ({"trained_map50_95": 0.004, "map50_95": 0.0}, (), [f"refused {ONNX}", "refused all"]),
        ({"trained_map50_95": 0.2, "map50_95": 0.2}, (), [f"exported {ONNX}", "promoted by policy"]),
        ({}, (ONNX,), [f"exported {ONNX}", "promoted by policy"]),
    ],
    ids=["nothing is found", "next to nothing", "faint boxes agree", "allowed"],
)
async def test_where_the_trained_weights_find_nothing_agreeing_proves_nothing(exporter, found, allowed, said):
    exporter.told(allow_unproven=allowed)
    await exporter.train("t1")
    await exporter.answered(disagreeing(boxes=0, **found))
    assert exporter.said() == said
    assert [each.rule for each in exporter.of(ModelRefused)][:1] == ["export.unproven"] * said[0].startswith("refused")


async def test_a_model_s_key_lies_sealed_beside_the_public_files(exporter):
    await exporter.train("t1")
    await exporter.answered()
    (exported,) = exporter.of(ModelExported)
    sealed = (await exporter.resources.get(keys.model_key("default", exported.model))).data
    key = open_model_key(sealed, exporter.vault_identity)
    assert set(key.small_parts) == {f"{ONNX}.age", "golden.age"}


async def test_the_manifest_says_how_it_was_proved_and_the_report_is_signed_along(exporter):
    exporter.told(limits={"onnx-fp32": (limits := AgreementLimits(max_box_px=0.5, max_score=0.1, max_map_drop=0))})
    await exporter.train("t1")
    await exporter.answered()
    (exported,) = exporter.of(ModelExported)
    manifest = Manifest.model_validate_json((await exporter.models.get(exported.manifest.key)).data)
    page = (await exporter.models.get(exported.report.key)).data
    (artifact,) = manifest.artifacts
    assert (artifact.name, artifact.agreement.max_score, artifact.limits) == (ONNX, 0.001, limits)
    assert manifest.files == {REPORT: sha256_hex(page)}
    assert exported.model in page.decode()
    assert ONNX in page.decode()
    assert "<img" not in page.decode()
    assert (manifest.versions, manifest.edition) == ({"onnx": "1"}, 1)
    assert manifest.reference == REFERENCE  # what live answers will be compared with


async def test_a_decider_that_dies_at_every_step_says_nothing_twice(exporter):
    await exporter.train("t1")
    for _ in range(3):
        await (await exporter.started()).tick()
        await exporter.work()
    await (await exporter.started()).tick()
    assert exporter.said() == [f"exported {ONNX}", "promoted by policy"]


async def test_a_model_that_was_exported_before_a_crash_is_promoted_after_it(exporter):
    await exporter.train("t1")
    decider = await exporter.started()
    await decider.tick()
    await exporter.work()
    await decider.exporting.tick()
    assert exporter.said() == [f"exported {ONNX}"]
    await (await exporter.started()).tick()
    assert exporter.said() == [f"exported {ONNX}", "promoted by policy"]


async def test_a_format_that_disagrees_is_refused_with_numbers_limits_and_picture(exporter):
    picture = FileRef.of("worst.png", b"PNG")

    async def disagree(attempt: Attempt) -> ExportLeft:
        left = await disagreeing(unmatched=2)(attempt)
        return left.model_copy(update={"picture": picture})

    await exporter.train("t1")
    await exporter.answered(disagree)
    refused, whole = exporter.events()
    assert (refused.job, refused.format, refused.rule) == ("t1", ONNX, "export.disagrees")
    assert refused.reason == "2 of 9 boxes have no partner"
    assert (refused.agreement.unmatched, refused.limits.max_box_px, refused.picture) == (2, 1.0, picture)
    assert (whole.format, whole.rule, whole.picture) == (None, "export.no_format", None)
    assert whole.reason == "every format was refused: onnx-fp32 (export.disagrees: 2 of 9 boxes have no partner)"
    assert [each async for each in exporter.models.list("")] == []


async def test_the_limits_are_those_that_the_job_was_ordered_with(exporter):
    await exporter.train("t1")
    await (await exporter.started()).tick()
    await exporter.work(disagreeing(max_box_px=0.8))
    exporter.told(limits={"fp32": AgreementLimits(max_box_px=0.1, max_score=0.1, max_map_drop=0)})
    await (await exporter.started()).tick()
    assert exporter.said()[0] == f"exported {ONNX}"


async def test_what_nobody_could_run_is_refused(exporter):
    await exporter.train("t1")
    await exporter.answered(unproven)
    refused, _ = exporter.of(ModelRefused)
    assert (refused.rule, refused.reason) == ("export.unproven", "it was built, and not run: no GPU is here")


async def test_what_nobody_could_run_is_published_where_that_is_allowed_and_says_so(exporter):
    await exporter.train("t1")
    exporter.told(allow_unproven=("fp32",))
    await exporter.answered(unproven)
    (exported,) = exporter.of(ModelExported)
    manifest = Manifest.model_validate_json((await exporter.models.get(exported.manifest.key)).data)
    said = [(each.agreement, each.limits, each.unproven) for each in manifest.artifacts]
    assert said == [(None, None, "no GPU is here")]
    assert [each.unproven for each in exported.artifacts] == ["no GPU is here"]
    assert "no GPU is here" in (await exporter.models.get(exported.report.key)).data.decode()


async def test_an_artifact_that_is_gone_is_refused_and_the_next_training_is_exported(exporter):
    async def lose(attempt: Attempt) -> ExportLeft:
        return (await export(attempt)).model_copy(update={"artifact": FileRef.of("nowhere", b"w")})

    await exporter.train("t1")
    await exporter.answered(lose)
    assert [(event.job, event.rule) for event in exporter.of(ModelRefused)] == [
        ("t1", "object.missing"), ("t1", "export.no_format"),
    ]  # fmt: skip
    await exporter.train("t2")
    await exporter.answered()
    assert exporter.said()[2:] == [f"exported {ONNX}", "promoted by policy"]


async def test_an_artifact_that_was_exchanged_is_refused(exporter):
    async def exchange(attempt: Attempt) -> ExportLeft:
        left = await export(attempt)
        await exporter.data.put(left.artifact.key, b"another")
        return left

    await exporter.train("t1")
    await exporter.answered(exchange)
    assert exporter.of(ModelRefused)[0].rule == "object.changed"


async def test_a_golden_image_that_was_erased_is_left_out_and_the_model_is_published(exporter):
    async def with_two(attempt: Attempt) -> ExportLeft:
        left = await export(attempt)
        erased = left.golden[0].model_copy(update={"image": FileRef.of("erased", b"x")})
        return left.model_copy(update={"golden": (erased, *left.golden)})

    await exporter.train("t1")
    await exporter.answered(with_two)
    assert exporter.said()[0] == f"exported {ONNX}"


async def test_a_model_without_any_golden_image_left_is_refused(exporter):
    async def without(attempt: Attempt) -> ExportLeft:
        left = await export(attempt)
        await exporter.data.delete(left.golden[0].image.key)
        return left

    await exporter.train("t1")
    await exporter.answered(without)
    assert exporter.of(ModelRefused)[0].rule == "object.missing"


async def test_what_a_worker_could_not_export_is_refused_for_its_reason(exporter):
    async def fail(_: Attempt) -> ExportLeft:
        raise Rejected("export.unsupported", "an operator is missing", "See the log.")

    await exporter.train("t1")
    await exporter.answered(fail)
    refused = exporter.of(ModelRefused)[0]
    assert (refused.format, refused.rule, refused.reason) == (ONNX, "export.unsupported", "an operator is missing")


@pytest.mark.parametrize(
    ("left", "rule"), [({"artifact": 1}, "job.unreadable_result"), ({}, "export.wrong_format")], ids=["form", "format"]
)
async def test_what_is_no_result_of_the_format_is_refused(exporter, left, rule):
    await exporter.train("t1")
    await (await exporter.started()).tick()
    await exporter.work()
    (key,) = [each.key async for each in exporter.data.list("") if each.key.endswith("result.json")]
    result = json.loads((await exporter.data.get(key)).data)
    result["facts"]["name"] = "onnx-int8"
    await exporter.data.put(key, json.dumps(result | left).encode())
    await (await exporter.started()).tick()
    assert exporter.of(ModelRefused)[0].rule == rule


async def test_a_better_second_model_is_promoted_and_a_worse_one_is_not(exporter):
    for job, map50_95 in (("t1", 0.5), ("t2", 0.6), ("t3", 0.4)):
        await exporter.train(job, map50_95)
        await exporter.answered()
    exported = f"exported {ONNX}"
    assert exporter.said() == [exported, "promoted by policy", exported, "promoted by policy", exported]
    first, second = exporter.of(ModelPromoted)
    better = next(event for event in exporter.of(ModelExported) if event.job == "t2")
    assert (first.number, second.number, second.model) == (1, 2, better.model)


async def test_of_two_candidates_the_better_one_alone_is_promoted(exporter):
    await exporter.train("t1", 0.4)
    await exporter.train("t2", 0.6)
    await exporter.answered()
    assert exporter.said() == [f"exported {ONNX}", f"exported {ONNX}", "promoted by policy"]
    _, better, promoted = exporter.events()
    assert (better.job, promoted.model) == ("t2", better.model)


async def test_a_store_that_flaps_while_a_bundle_is_published_gets_one_bundle(exporter):
    exporter.models = Flapping()
    await exporter.train("t1")
    await exporter.answered()
    (exported,) = exporter.of(ModelExported)
    found = [each.key async for each in exporter.models.list("")]
    assert len(found) == 5  # manifest, signature, report, and the big parts of the artifact and the golden set
    assert {Path(key).parent for key in found} == {Path(keys.model("default", exported.model))}
    assert sorted(exporter.models.tried) == sorted(found * 2)
    assert len([each async for each in exporter.resources.list("default/model-keys/")]) == 1


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
    assert exporter.said() == [f"exported {ONNX}", "promoted by policy"]


async def test_the_age_of_what_was_learned_is_handed_on_to_the_promotion(exporter):
    await exporter.train("t1", annotated_ms=1_700_000_000_000)
    await exporter.answered()
    exported, promoted = exporter.events()
    assert exported.annotated_ms == promoted.annotated_ms == 1_700_000_000_000
