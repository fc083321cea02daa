"""An export job: what the engine is told, what is left for the decider, and what is fetched once for all formats."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace

import pytest

from exporter.engine.process import EngineFailedError
from exporter.work.choosing import proof_rows
from labelstream import keys
from labelstream.blobs.leases import Leases
from labelstream.errors import Misconfigured, Rejected
from labelstream.events.batch import Rewritten
from labelstream.jobs.desk import MAX_FAILURES
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.worker import LEASE, Attempt, TryAgain, Worker
from labelstream.values import FileRef, sha256_file
from labelstream_datasets.archives.contents import without
from labelstream_datasets.archives.erased import Erasure
from labelstream_datasets.manifest import Manifest

from .bench import AGREES, PROJECT, REFERENCE, Bench, Engine, by_digest, digest, picture, shapes

TEST, TRAIN = range(12), range(20, 28)


async def test_the_engine_gets_the_format_the_weights_and_test_images_with_their_labels(bench):
    await bench.exported("onnx-fp32-nms-b1")
    (spec,) = bench.engine.specs
    assert (spec.format, spec.golden, spec.confidence, spec.iou) == ("onnx-fp32-nms-b1", 2, 0.25, 0.45)
    chosen = by_digest(TEST)[:4]
    assert [each.boxes for each in spec.images] == [shapes(number) for number in chosen]
    assert spec.calibration == ()


async def test_what_is_left_names_stored_files_with_the_limits_and_the_time(bench):
    left = await bench.exported()
    assert FileRef.of(left.artifact.key, b"a network") == left.artifact
    assert (await bench.blobs.get(left.artifact.key)).data == b"a network"
    assert left.facts.agreement == AGREES
    assert left.reference == REFERENCE
    assert (left.facts.limits.max_box_px, left.worker, left.image_size) == (1.0, "w1", 64)
    assert (left.confidence, left.iou, left.versions) == (0.25, 0.45, {"onnx": "1"})
    assert left.seconds >= 0
    first = by_digest(TEST)[0]
    assert left.golden[0].image == FileRef.of(keys.image(PROJECT, digest(first), "jpg"), picture(first))


async def test_a_picture_is_left_only_where_the_limits_are_exceeded(bench):
    assert (await bench.exported()).picture is None
    bench.engine.agreement = AGREES.model_copy(update={"max_score": 0.5})
    picture = (await bench.exported()).picture
    assert (await bench.blobs.get(picture.key)).data == b"PNG"


async def test_what_was_built_and_not_run_says_why_and_has_no_limits(bench):
    bench.engine.agreement = None
    facts = (await bench.exported("tensorrt-fp16-sm_90")).facts
    assert (facts.agreement, facts.limits, facts.unproven) == (None, None, "no GPU is here")


async def test_int8_is_calibrated_on_training_images_by_their_digests_and_never_on_variants(bench):
    await bench.exported("onnx-int8", calibration_images=5)
    (spec,) = bench.engine.specs
    assert [path.stem for path in spec.calibration] == [digest(number) for number in by_digest(TRAIN)[:5]]


async def test_a_training_image_that_was_erased_makes_room_for_the_next(bench):
    chosen = by_digest(TRAIN)
    await bench.blobs.delete(keys.image(PROJECT, digest(chosen[1]), "jpg"))
    await bench.exported("onnx-int8", calibration_images=3)
    used = [path.stem for path in bench.engine.specs[0].calibration]
    assert used == [digest(chosen[number]) for number in (0, 2, 3)]


async def test_a_small_dataset_calibrates_on_all_that_it_has(bench):
    await bench.exported("onnx-int8", calibration_images=64)
    assert len(bench.engine.specs[0].calibration) == len(TRAIN)


async def test_images_are_fetched_once_for_all_formats_of_a_training(bench):
    fetched: list[str] = []
    get_range, download = bench.blobs.get_range, bench.blobs.download

    async def ranged(key, start, end):
        fetched.append(key)
        return await get_range(key, start, end)

    async def downloaded(key, path):
        fetched.append(key)
        await download(key, path)

    bench.blobs.get_range, bench.blobs.download = ranged, downloaded
    for number, name in enumerate(("onnx-int8", "openvino-int8", "onnx-fp32")):
        await bench.exported(name, job=f"job-{number}", calibration_images=3)
    assert len([key for key in fetched if "/archives/" in key]) == len({row.archive for row in bench.rows[:12]})
    assert len([key for key in fetched if "/images/" in key]) == 3
    assert [each.path for each in bench.engine.specs[0].images] == [each.path for each in bench.engine.specs[2].images]


async def test_an_image_that_was_damaged_on_disk_is_fetched_again(bench):
    await bench.exported()
    bench.engine.specs[0].images[0].path.write_bytes(b"")
    await bench.exported(job="another")
    assert bench.engine.specs[1].images[0].path.read_bytes() != b""


async def test_the_images_of_the_dataset_used_longest_ago_go(bench, tmp_path):
    others = []
    for number in range(3):
        other = Bench(bench.folder, blobs=bench.blobs)
        await other.archived("test", range(30 + number, 33 + number))
        others.append((await other.built()).id)
        await other.exported(job=str(number))
    left = {path.name for path in (bench.folder / "datasets").iterdir()}
    assert left == set(others[1:])


async def test_nothing_of_a_job_stays_on_the_disk(bench):
    await bench.exported()
    assert list((bench.folder / "jobs").iterdir()) == []


async def test_the_dataset_s_class_rules_count_for_the_labels(tmp_path):
    bench = Bench(tmp_path)
    await bench.archived("test", TEST)
    await bench.built(classes=("bus",), project_schema={"name": "cars", "classes": ("car", "bus")})
    await bench.exported()
    boxes = [box for each in bench.engine.specs[0].images for box in each.boxes]
    assert boxes
    expected = [len([box for box in shapes(number) if box.class_id == 1]) for number in by_digest(TEST)[:4]]
    assert [len(each.boxes) for each in bench.engine.specs[0].images] == expected


async def _erase(bench: Bench, archive: str, *numbers: int) -> None:
    """Take images out of an archive, as an erasure does."""
    old = (await bench.blobs.get(archive)).data
    new = without(old, Erasure(images=frozenset(map(digest, numbers))))
    by = FileRef.of(f"{archive}-2", new) if new else None
    if by is not None:
        await bench.blobs.put(by.key, new)
    note = Rewritten(archive=archive, by=by)
    await bench.blobs.put(keys.forwarding(archive), note.model_dump_json().encode())
    await bench.blobs.delete(archive)


async def test_a_test_image_that_was_erased_is_left_out_of_the_proof(bench):
    erased, *others = by_digest(TEST)[:4]
    await _erase(bench, _archive_of(bench, erased), erased)
    await bench.exported()
    used = [sha256_file(each.path) for each in bench.engine.specs[0].images]
    assert used == [digest(number) for number in others]


async def test_an_archive_of_which_nothing_is_left_is_passed_over(bench):
    await _erase(bench, _archive_of(bench, 0), *range(6))
    await bench.exported(proof_images=12)
    assert len(bench.engine.specs[0].images) == 6


async def test_a_dataset_without_a_test_image_left_is_refused(bench):
    await _erase(bench, _archive_of(bench, 0), *range(6))
    await _erase(bench, _archive_of(bench, 6), *range(6, 12))
    with pytest.raises(Rejected, match="no test image is left"):
        await bench.exported(proof_images=12)


async def test_an_archive_that_is_gone_without_a_trace_is_refused(bench):
    await bench.blobs.delete(_archive_of(bench, by_digest(TEST)[0]))
    with pytest.raises(Rejected, match=r"object\.missing"):
        await bench.exported()


def _archive_of(bench: Bench, number: int) -> str:
    return next(row.archive for row in bench.rows if row.image == digest(number))


async def test_labels_are_not_fetched_from_more_archives_than_are_small_enough(bench):
    manifest = Manifest.of(bench.rows)
    size = bench.rows[0].archive_bytes
    few = proof_rows(manifest, 12, most_bytes=size)
    assert len({row.archive for row in few}) == 1
    assert [row.image for row in few] == sorted(row.image for row in few)
    assert len({row.archive for row in proof_rows(manifest, 12, most_bytes=1)}) == 1
    assert len(proof_rows(manifest, 12)) == 12


@pytest.mark.parametrize(
    ("rule", "raised"),
    [("engine-died", TryAgain), ("engine-error", TryAgain), ("format-unbuildable", Rejected)],
)
async def test_an_engine_that_died_is_tried_again_and_one_that_can_t_is_not(bench, rule, raised):
    async def fail(_spec):
        raise EngineFailedError(rule, "it went wrong", "log")

    bench.engine = fail
    with pytest.raises(raised, match="it went wrong"):
        await bench.exported()
    assert list((bench.folder / "jobs").iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        EngineFailedError("disk-full", "no room", "log"),
        OSError(errno.ENOSPC, "no room"),
        Rejected("disk.full", "no room", "Make some."),
    ],
)
async def test_a_full_disk_is_no_verdict_on_a_format_and_never_counts_as_a_failure(bench, error):
    async def fail(_spec):
        raise error

    bench.engine = fail
    leases = Leases(bench.blobs, "w1")
    worker = Worker("q", MemoryJobQueue(), leases, bench.blobs, bench.health, bench.work().do)
    job = await bench.job("onnx-fp32", "job")
    for _ in range(MAX_FAILURES + 1):
        await worker.queue.put("q", job)
        await worker._work(await worker.queue.take("q", wait_s=0), "q")
    lease = await leases.look(keys.job(PROJECT, "job", LEASE))
    assert (lease.state, lease.failures) == ("released", 1)
    assert "no room" in bench.health.report()["degraded"]["disk"]
    bench.engine = Engine()
    await bench.exported()
    assert bench.health.report()["degraded"] == {}


async def test_an_engine_that_hangs_is_ended_and_holds_nothing_else_up(bench):
    ended = asyncio.Event()

    async def hang(_spec):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    bench.engine = hang
    with pytest.raises(Rejected, match="not built and proved within"):
        await replace(bench.work(), limit_s=0.01).do(
            Attempt(await bench.job("onnx-fp32", "job"), 1, bench.blobs, bench.health)
        )
    assert ended.is_set()


async def test_weights_that_are_others_by_now_are_refused(bench):
    with pytest.raises(Rejected, match=r"object\.changed"):
        await bench.exported(weights=FileRef.of("weights", b"others"))


async def test_two_workers_can_not_use_one_folder(bench):
    with bench.work().scratch.owned(), pytest.raises(Misconfigured, match="STATE_DIR"), bench.work().scratch.owned():
        pass
