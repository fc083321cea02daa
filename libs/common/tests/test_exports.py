"""Which formats are still to come, who can build them, and why one waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelEvent, ModelExported, ModelRefused, ModelWithdrawn
from labelstream.events.training import Metrics
from labelstream.exports import (
    LONGEST_VALID_S,
    Announcement,
    Capability,
    ExportingNote,
    announce,
    announcements,
    leave_note,
    open_formats,
    read_note,
    waiting_formats,
)
from labelstream.models import ModelBook
from labelstream.values import FileRef, Position

FILE = FileRef.of("k", b"k")
HERE = Position(stream="training-events", offset=0)
ONNX = Capability(family="onnx", queue="jobs.export.onnx", versions={"onnx": "1"})
ENGINE = Capability(family="tensorrt", target="sm_90", queue="jobs.export.tensorrt.sm_90")
CONFIGURED = ("onnx-fp32", "tensorrt-fp16-sm_90")


def exported(*waiting: str, edition: int = 1) -> ModelExported:
    test = Metrics(map50=0.9, map50_95=0.5, precision=0.9, recall=0.9, images=10)
    return ModelExported(
        model=f"m{edition}", input=HERE, job="job", dataset_id="d", manifest=FILE, signature=FILE, artifacts=(),
        test=test, edition=edition, waiting=waiting,
    )  # fmt: skip


def refused(format_name: str | None) -> ModelRefused:
    return ModelRefused(model="m", input=HERE, job="job", rule="r", reason="x", format=format_name)


def told(*events: ModelEvent) -> ModelBook:
    book = ModelBook()
    for offset, event in enumerate(events):
        book.fold(offset, Envelope.of(event, source="exporter", answers=str(offset), project="cars"))
    return book


@pytest.mark.parametrize(
    ("said", "to_come"),
    [
        ([], CONFIGURED),
        ([refused("onnx-fp32")], CONFIGURED[1:]),
        ([refused("onnx-fp32"), refused(None)], ()),
        ([exported()], ()),
        ([exported("rknn-int8-rk3588")], ("rknn-int8-rk3588",)),
        ([exported("rknn-int8-rk3588", "onnx-int8"), refused("onnx-int8")], ("rknn-int8-rk3588",)),
        ([exported("rknn-int8-rk3588", "onnx-int8"), exported("onnx-int8", edition=2)], ("onnx-int8",)),
        ([exported("onnx-int8"), ModelWithdrawn(model="m1", reason="r")], ()),
    ],
    ids=["nothing said", "one refused", "all refused", "complete", "waiting", "later refused", "edition", "withdrawn"],
)
def test_what_is_to_come_follows_from_the_log_once_a_training_is_answered(said, to_come):
    assert open_formats(told(*said), "job", CONFIGURED) == to_come


async def test_announcements_are_read_back_by_the_names_of_the_workers():
    blobs = MemoryBlobs()
    await announce(blobs, "two", [ENGINE], valid_s=60)
    await announce(blobs, "one", [ONNX], valid_s=60)
    found = await announcements(blobs)
    assert [(each.worker, each.capabilities) for each in found] == [("one", (ONNX,)), ("two", (ENGINE,))]
    assert found[0].until_ms > 0


async def test_an_announcement_that_was_not_renewed_lapses_by_the_store_s_clock():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    blobs = MemoryBlobs(clock=lambda: now)
    await announce(blobs, "one", [ONNX], valid_s=60)
    now += timedelta(seconds=59)
    assert len(await announcements(blobs)) == 1
    now += timedelta(seconds=2)
    assert await announcements(blobs) == ()
    await announce(blobs, "one", [ONNX], valid_s=60)
    assert len(await announcements(blobs)) == 1


async def test_what_workers_left_that_are_long_gone_is_not_read_again_and_again():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    blobs = MemoryBlobs(clock=lambda: now)
    await announce(blobs, "gone", [ONNX], valid_s=60)
    now += timedelta(seconds=LONGEST_VALID_S + 1)
    await announce(blobs, "one", [ONNX], valid_s=60)
    read: list[str] = []
    get = blobs.get

    async def counted(key: str, most_bytes: int | None = None):
        read.append(key)
        return await get(key, most_bytes)

    blobs.get = counted
    assert [each.worker for each in await announcements(blobs)] == ["one"]
    assert read == [keys.exporter_worker("one")]


async def test_what_is_no_announcement_counts_for_nothing():
    blobs = MemoryBlobs()
    await blobs.put(keys.exporter_worker("odd"), b"{}")
    await announce(blobs, "one", [ONNX], valid_s=60)
    assert [each.worker for each in await announcements(blobs)] == ["one"]


async def test_the_decider_s_note_is_read_back_and_is_missing_before():
    blobs = MemoryBlobs()
    assert await read_note(blobs) is None
    note = ExportingNote(formats=CONFIGURED, wait_h=24)
    await leave_note(blobs, note)
    assert await read_note(blobs) == note
    assert await announcements(blobs) == ()


def test_a_format_waits_for_whoever_can_build_it_or_is_in_somebody_s_hands():
    there = [Announcement(worker="cpu", capabilities=(ONNX,), until_ms=1, valid_s=60)]
    built, waiting = waiting_formats(told(), "job", 1234, CONFIGURED, there)
    assert (built.workers, built.why) == (("cpu",), "in the hands or the line of cpu")
    assert (waiting.format, waiting.queue, waiting.since_ms) == (CONFIGURED[1], "jobs.export.tensorrt.sm_90", 1234)
    assert waiting.workers == ()
    assert waiting.why == "no worker takes jobs.export.tensorrt.sm_90: cpu takes jobs.export.onnx"


def test_without_any_worker_a_format_waits_for_the_first_to_come():
    (waiting,) = waiting_formats(told(), "job", 0, CONFIGURED[:1], [])
    assert waiting.why == "no worker takes jobs.export.onnx: no export worker is there"
