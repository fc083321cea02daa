"""Following, showing, comparing and drawing in the demonstration."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from labelstream.events.annotation import AnnotationSettled, Outcome
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.streams.memory import MemoryBroker
from labelstream.values import Position
from labelstream_cli.demo.display import Lines
from labelstream_cli.demo.following import STREAMS, Follower
from labelstream_cli.demo.heldout import Compared, iou
from labelstream_cli.demo.plan import plan_photos
from labelstream_cli.demo.sheet import spread, write_sheet
from labelstream_cli.demo.stages import Row
from labelstream_cli.demo.state import DemoState
from labelstream_cli.importers import Imported
from labelstream_cli.pictures import Marked
from labelstream_cli.predicting import Answer, Detection
from labelstream_cli.running import CommandFailed

MakeImage = Callable[..., Path]


@pytest.fixture
async def broker() -> MemoryBroker:
    broker = MemoryBroker()
    for stream in STREAMS:
        await broker.ensure_stream(stream)
    return broker


async def say(broker: MemoryBroker, number: int) -> None:
    receipt = AnnotationSettled(
        input=Position(stream="annotations", offset=number),
        message_id=f"demo-{number}",
        message_key=f"key-{number}",
        wire="native",
        outcomes=(Outcome(name="a", outcome="recorded"),),
    )
    message = Envelope.of(receipt, source="ingest", answers=str(number), project="default").to_message()
    await broker.publisher(ANNOTATION_EVENTS, "ingest").publish([(number, message)])


async def test_what_stood_in_the_streams_and_what_comes_is_folded(broker: MemoryBroker) -> None:
    follower = Follower(DemoState("default", "demo"), patience_s=60)
    await say(broker, 1)

    async with follower.following(broker):
        await follower.history()
        assert follower.state.settled == 1
        await say(broker, 2)
        assert await follower.until("a receipt", lambda: follower.state.settled == 2)


async def test_when_nothing_happens_any_more_it_says_what_it_waited_for(broker: MemoryBroker) -> None:
    follower = Follower(DemoState("default", "demo"), patience_s=0.0)

    async with follower.following(broker):
        with pytest.raises(CommandFailed, match="waited for the receipts, but nothing happened"):
            await follower.until("the receipts", lambda: False)


async def test_a_failure_that_is_seen_ends_the_waiting(broker: MemoryBroker) -> None:
    follower = Follower(DemoState("default", "demo"), 60, look=lambda: "the training failed")

    async with follower.following(broker):
        with pytest.raises(CommandFailed, match="the training failed"):
            await follower.until("the model", lambda: False)


async def test_something_that_need_not_come_is_waited_for_only_so_long(broker: MemoryBroker) -> None:
    follower = Follower(DemoState("default", "demo"), 60)

    async with follower.following(broker):
        assert not await follower.until("a promotion", lambda: False, within_s=0.0)


def test_without_a_terminal_each_ended_stage_and_each_epoch_is_one_line() -> None:
    out = io.StringIO()
    lines = Lines(Console(file=out, width=200))
    for said in ("epoch 1 of 2", "epoch 1 of 2", "epoch 2 of 2"):
        lines.show(
            [Row("push", "done", "3 of 3", 0.5), Row("training", "runs", said, 1.0), Row("export", "waits", "", None)]
        )

    assert out.getvalue().splitlines() == [
        "push      3 of 3 (0.5 s)",
        "training  epoch 1 of 2",
        "training  epoch 2 of 2",
    ]


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 15, 10), 1 / 3),
        ((0, 0, 10, 10), (20, 20, 30, 30), 0.0),
        ((0, 0, 10, 10), (20, 0, 30, 10), 0.0),
    ],
)
def test_overlap_is_intersection_over_union(one: tuple[float, ...], other: tuple[float, ...], overlap: float) -> None:
    assert iou(one, other) == pytest.approx(overlap)  # type: ignore[arg-type]


def compared(path: Path, detections: tuple[Detection, ...], truth: tuple[Marked, ...]) -> Compared:
    return Compared(
        Imported(path.stem, path, path.stem, "test", ()), truth, Answer(str(path), "m", "d", detections, {})
    )


def test_a_box_is_found_by_one_detection_of_its_class_that_overlaps(tmp_path: Path) -> None:
    truth = (Marked(0, "car", (0, 0, 10, 10)), Marked(0, "car", (1, 1, 11, 11)), Marked(1, "boat", (50, 50, 60, 60)))
    found = (
        Detection(0, "car", 0.9, (0, 0, 10, 10)),  # one car
        Detection(0, "car", 0.8, (50, 50, 60, 60)),  # no boat
        Detection(1, "boat", 0.8, (80, 80, 90, 90)),  # elsewhere
    )

    assert compared(tmp_path / "a.jpg", found, truth).matched == 1


def test_the_sheet_shows_annotation_and_detections_side_by_side(tmp_path: Path, make_image: MakeImage) -> None:
    path = make_image(tmp_path / "a.jpg", (160, 120))
    one = compared(path, (Detection(1, "boat", 0.9, (20, 30, 80, 90)),), ())

    write_sheet([one] * 5, "title", tmp_path / "sheet.png")

    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * 2 * 300
        assert sheet.height > 2 * 225
        left, right = sheet.crop((14, 74, 314, 299)), sheet.crop((318, 74, 618, 299))
    assert len(left.getcolors(100_000) or []) < len(right.getcolors(100_000) or [])


def test_the_sheet_spreads_its_images_over_all_media(tmp_path: Path) -> None:
    images = [compared(tmp_path / f"{number}.jpg", (), ()) for number in range(50)]

    assert [one.image.name for one in spread(images, 3)] == ["0", "24", "49"]
    assert len(spread(images[:2], 3)) == 2
    film = [replace(one, image=replace(one.image, medium=one.image.name[0])) for one in images]
    assert [one.image.name for one in spread(film, 10)] == list("0123456789")


def test_photographs_bring_their_classes_and_published_splits_into_the_plan(
    tmp_path: Path, make_image: MakeImage
) -> None:
    data = tmp_path / "data"
    make_image(data / "images/a.jpg")
    (data / "labels").mkdir()
    (data / "labels/a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (data / "classes.txt").write_text("cell\n")
    (data / "splits").mkdir()
    (data / "splits/test.txt").write_text("a\n")

    plan = plan_photos(tmp_path / "demo", data, None)
    options = plan.options()

    assert [image.split for image in plan.imported] == ["test"]
    assert options.told["trainer"]["LABELSTREAM_TRAINER__RECIPE"] == "photos"
    assert options.told["trainer"]["LABELSTREAM_TRAINER__MIN_NEW"] == "0"
    assert plan.schema.classes == ("cell",)
    assert options.projects == (plan.project,)
    assert plan.project.startswith("demo-")  # other data are another project: class ids never change their meaning
    assert Path(options.schemas[plan.project]).read_text() == '{"name": "demo", "version": 1, "classes": ["cell"]}'
