from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from annotation_ingest.settings import InputSettings
from labelstream.classes import ClassSchema
from labelstream.events.annotation import AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.producer import Producer
from labelstream.schemas import load_named_schema
from labelstream.streams.message import Message
from labelstream.values import sha256_hex
from labelstream.view import AnnotationView
from labelstream.wire import azaion, native
from labelstream.wire.azaion_writer import AzaionWriter

BOX = {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}
DETECTION = {"cls": 3, "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}


def rules(receipts: list[AnnotationSettled]) -> list[str | None]:
    return [o.rejection.rule if o.rejection else None for r in receipts for o in r.outcomes]


async def test_a_submitted_annotation_is_recorded_and_its_image_stored_once(service: Any, make_picture: Any) -> None:
    image = make_picture()
    await service.send(
        native.write("a", image, [BOX], medium="film", split="test"), native.write("b", image, [], medium="film")
    )
    first, second = await service.work()
    (outcome,) = first.outcomes
    assert (outcome.name, outcome.outcome, outcome.revision, outcome.validated) == ("a", "recorded", 1, True)
    assert outcome.annotation.medium == "film"
    assert outcome.annotation.split == "test"
    assert [(s.class_id, s.x, s.y, s.w, s.h) for s in outcome.annotation.shapes] == [(2, 0.5, 0.5, 0.2, 0.1)]
    ref = outcome.annotation.image
    assert (ref.sha256, ref.size_bytes, ref.format, ref.width, ref.height) == (
        sha256_hex(image),
        len(image),
        "png",
        8,
        6,
    )
    assert (await service.blobs.get(ref.key)).data == image
    assert second.outcomes[0].annotation.image == ref
    assert [info.key async for info in service.blobs.list("default/images/")] == [ref.key]


async def test_bad_messages_are_answered_and_parked_and_those_behind_them_settle_in_order(
    service: Any, make_picture: Any, outcomes_of: Any
) -> None:
    image = make_picture()
    bad: list[Message | bytes] = [
        native.write("corrupted", image[:40], [BOX]),
        native.write("outside", image, [{**BOX, "x": 1.5}]),
        native.write("unknown", image, [{**BOX, "class": "dragon"}]),
        b"",
        b"\x00\x53\x75\xa0\x00",
        bytes(range(256)),
    ]
    for number, one in enumerate(bad):
        await service.send(native.write(f"good-{number}", make_picture(number), [BOX]), one)
    await service.send(native.write("last", image, [BOX]))
    receipts = await service.work()
    assert outcomes_of(receipts) == ["recorded", "rejected"] * len(bad) + ["recorded"]
    assert rules(receipts)[1::2] == [
        "image.undecodable",
        "box.outside",
        "class.unknown",
        "message.undecodable",
        "message.undecodable",
        "message.undecodable",
    ]
    sent = service.broker.stored("annotations")
    assert [r.input.offset for r in receipts] == [d.offset for d in sent]
    raw = {d.offset: d.raw for d in sent}
    parked = {p.properties["input_offset"]: p for p in service.parked()}
    refused = [r for r in receipts if r.outcomes[0].rejection]
    assert len(service.parked()) == len(refused) == len(bad)
    for receipt in refused:
        rejection = receipt.outcomes[0].rejection
        kept = parked[receipt.input.offset]
        assert (kept.body if not kept.properties["empty"] else b"") == raw[receipt.input.offset]
        assert (kept.properties["rule"], kept.properties["reason"]) == (rejection.rule, rejection.reason)
        place = next(
            d for d in service.broker.stored("parked.annotation-ingest") if d.offset == rejection.parked.offset
        )
        assert rejection.parked.stream == place.stream
        assert kept.body in place.raw
        assert rejection.hint


async def test_the_same_annotations_pushed_twice_are_duplicated_with_what_they_repeat(
    service: Any, make_picture: Any, outcomes_of: Any
) -> None:
    await service.broker.ensure_stream("annotations")
    for attempt in range(2):
        async with Producer(service.broker, name=f"push-{attempt}", receipts=False) as producer:
            for number in range(5):
                await producer.submit(name=f"n{number}", image=make_picture(number), boxes=[BOX], validated=number > 2)
    receipts = await service.work()
    assert outcomes_of(receipts) == ["recorded"] * 5 + ["duplicated"] * 5
    assert [r.outcomes[0].repeats for r in receipts[5:]] == [r.input for r in receipts[:5]]


async def test_an_azaion_annotation_is_created_then_validated(
    service: Any, make_picture: Any, outcomes_of: Any
) -> None:
    service.inputs = (InputSettings(schema="azaion"),)
    operator, validator = AzaionWriter(role=azaion.OPERATOR), AzaionWriter(role=azaion.VALIDATOR, form="map")
    await service.send(
        operator.created("frame-1", make_picture(1), [DETECTION], medium="film.mp4"),
        operator.created("frame-2", make_picture(2), [DETECTION], medium="film.mp4"),
        validator.validated(["frame-1", "frame-2", "frame-3"]),
    )
    receipts = await service.work()
    assert outcomes_of(receipts) == ["recorded", "recorded", "validated", "validated", "held"]
    assert [o.validated for o in receipts[0].outcomes] == [False]
    assert {r.wire for r in receipts} == {"azaion"}
    assert len({r.producer for r in receipts}) == 1
    view = AnnotationView(service.state / "annotations.sqlite")
    assert [(e.name, e.annotation.medium, e.revision) for e in view.validated("default")] == [
        ("frame-1", "film.mp4", 2),
        ("frame-2", "film.mp4", 2),
    ]
    view.close()


async def test_no_receipt_holds_an_email_or_a_pixel(service: Any, make_picture: Any) -> None:
    service.inputs = (InputSettings(schema="azaion"),)
    writer = AzaionWriter(email="someone@example.org", role=azaion.ADMIN)
    image = make_picture(3, size=(40, 40))
    await service.send(
        writer.created("a", image, [DETECTION]),
        writer.narrow("b"),
        writer.edited("a", [{**DETECTION, "cls": 79}]),
        writer.edited("a", [{**DETECTION, "cls": "someone@example.org"}]),
        writer.validated(["a"]),
        native.write("c", image, [], producer="someone@example.org"),
        native.write("d", image, [{"class": "someone@example.org"}]),
    )
    assert len(await service.work()) == 7
    for delivery in service.broker.stored(ANNOTATION_EVENTS):
        assert b"example.org" not in delivery.raw
        assert image[20:60] not in delivery.raw


async def test_messages_wait_while_the_store_is_away(service: Any, make_picture: Any, outcomes_of: Any) -> None:
    service.blobs.away = "down for a test"
    await service.send(native.write("a", make_picture(), [BOX]))
    task = service.start()
    await service.until_waiting("object store")
    assert service.receipts() == []
    service.blobs.away = None
    while not service.receipts():
        await service.broker.changed(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert outcomes_of(service.receipts()) == ["recorded"]
    assert service.health.is_ready


async def test_a_restart_goes_on_behind_the_last_receipt(service: Any, make_picture: Any, outcomes_of: Any) -> None:
    await service.send(native.write("a", make_picture(1), [BOX]))
    await service.work()
    await service.send(native.write("b", make_picture(2), [BOX]), native.write_bulk("deleted", ["a"]))
    assert outcomes_of(await service.work()) == ["recorded", "recorded", "deleted"]
    assert service.live_view() == service.rebuilt_view()


async def test_a_lost_view_is_rebuilt_from_the_stream(
    service: Any, make_picture: Any, outcomes_of: Any, tmp_path: Path
) -> None:
    await service.send(*(native.write(f"n{i}", make_picture(i), [BOX], message_id=f"m{i}") for i in range(9)))
    await service.work()
    service.state = tmp_path / "a new disk"
    await service.send(native.write("n4", make_picture(4), [BOX], message_id="m4"))
    assert outcomes_of(await service.work())[9:] == ["duplicated"]
    assert service.live_view() == service.rebuilt_view()


async def test_two_inputs_feed_their_projects_and_an_untrusted_one_does_not_validate(
    service: Any, make_picture: Any
) -> None:
    service.inputs = (InputSettings(), InputSettings(stream="guests", project="open", may_validate=False))
    await service.send(native.write("a", make_picture(1), [BOX]))
    await service.send(
        native.write("a", make_picture(1), [BOX]), native.write_bulk("validated", ["a"]), stream="guests"
    )
    await service.work()
    said = Counter(
        (envelope.project, o.outcome, o.validated)
        for _, envelope in service.envelopes()
        if isinstance(envelope.event, AnnotationSettled)
        for o in envelope.event.outcomes
    )
    assert said == {
        ("default", "recorded", True): 1,
        ("open", "recorded", False): 1,
        ("open", "rejected", None): 1,
    }


async def test_many_rejections_in_a_row_raise_degraded_until_something_good_comes(
    service: Any, make_picture: Any
) -> None:
    await service.send(*[b"noise"] * 25)
    await service.work()
    assert "25 messages in a row" in service.health.report()["degraded"]["input annotations"]
    await service.send(native.write("a", make_picture(1), [BOX]))
    await service.work()
    assert service.health.report()["degraded"] == {}


async def test_an_input_that_was_created_anew_is_not_read_as_if_it_were_the_old_one(
    service: Any, make_picture: Any
) -> None:
    await service.send(*(native.write(f"n{i}", make_picture(i), [BOX]) for i in range(3)))
    await service.work()
    del service.broker._streams["annotations"]
    await service.send(native.write("other", make_picture(9), [BOX]))
    task = service.start()
    assert "created anew" in await service.until_waiting("input annotations")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(service.receipts()) == 3


async def test_a_producer_reads_its_own_receipts(service: Any, make_picture: Any) -> None:
    await service.send(native.write("somebody else's", make_picture(1), [BOX]))
    task = service.start()
    async with Producer(service.broker, name="ours") as producer:
        good = await producer.submit(name="a", image=make_picture(2), boxes=[BOX])
        bad = await producer.submit(name="b", image=b"no image", boxes=[])
        receipts = await producer.wait_for_receipts()
    assert {key: r.outcomes[0].outcome for key, r in receipts.items()} == {good: "recorded", bad: "rejected"}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_producer_goes_on_with_its_ids_after_a_restart(service: Any, make_picture: Any) -> None:
    ids = []
    await service.broker.ensure_stream("annotations")
    for number in range(2):
        async with Producer(service.broker, name="ours", receipts=False) as producer:
            ids.append(await producer.submit(name=f"n{number}", image=make_picture(number), boxes=[]))
    assert [key.rsplit("-", 1)[1] for key in ids] == ["1", "2"]
    assert service.sent() == 2


@pytest.mark.parametrize("batch", [1, 2, 100])
async def test_decisions_do_not_depend_on_how_messages_are_batched(
    service: Any, make_picture: Any, outcomes_of: Any, batch: int
) -> None:
    service.batch = batch
    other = [{**BOX, "x": 0.4}]
    await service.send(
        native.write_bulk("validated", ["a"], message_id="1"),
        native.write("a", make_picture(1), [BOX], validated=False, message_id="2"),
        native.write("a", None, other, kind="edited", validated=False, message_id="3"),
        native.write_bulk("validated", ["a", "a"], message_id="4"),
        native.write_bulk("validated", ["a"], message_id="5"),
        native.write("a", make_picture(1), [BOX], validated=False, message_id="2"),
        native.write_bulk("deleted", ["a"], message_id="6"),
        native.write_bulk("validated", ["a"], message_id="7"),
        native.write("a", make_picture(2), other, message_id="8"),
    )
    receipts = await service.work()
    assert outcomes_of(receipts) == [
        "held",
        "recorded",
        "edited",
        "validated",
        "duplicated",
        "duplicated",
        "deleted",
        "superseded",
        "recorded",
    ]
    assert [o.validated for r in receipts for o in r.outcomes][1:5] == [True, False, True, True]
    assert [o.revision for r in receipts for o in r.outcomes] == [None, 1, 2, 3, 3, 3, 4, 4, 5]
    assert service.live_view() == service.rebuilt_view()


async def test_a_schema_change_is_held_to_all_that_the_project_has_and_not_only_to_its_own_streams_settings(
    service: Any, tmp_path: Path, outcomes_of: Any
) -> None:
    longer = tmp_path / "longer.json"
    classes = load_named_schema("example").classes
    longer.write_text(ClassSchema(name="example", classes=(*classes, "airship")).model_dump_json())
    service.inputs = (
        InputSettings(may_change_schema=True),
        InputSettings(stream="others", schema=str(longer)),
    )
    for number, added in enumerate((("train",), ("airship", "train"))):
        change = ClassSchema(name="example", classes=(*classes, *added))
        await service.send(native.write_class_schema(change, f"{number}"))
    await service.send(stream="others")
    assert outcomes_of(await service.work()) == ["rejected", "recorded"]
