"""The command, on a real broker."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import uuid
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from labelstream.classes import ClassSchema
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.message import Message
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.wire import native
from labelstream_cli.importers import ClassMap, read_folder
from labelstream_cli.push.publishing import Manner
from labelstream_cli.push.report import Plan
from labelstream_cli.push.target import Target
from labelstream_local.rabbitmq import RabbitServer

MakeImage = Callable[..., Path]
IMAGES = 130


@pytest.fixture
def folder(tmp_path: Path, make_image: MakeImage) -> Path:
    """A YOLO folder with 130 images of a car each."""
    folder = tmp_path / "photos"
    first = make_image(folder / "images/000.jpg")
    (folder / "labels").mkdir()
    for number in range(IMAGES):
        if number:
            shutil.copy(first, folder / f"images/{number:03}.jpg")
        (folder / f"labels/{number:03}.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    (folder / "classes.txt").write_text("car\n")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LABELSTREAM_")}
    return {**kept, "XDG_STATE_HOME": str(tmp_path / "state"), "LABELSTREAM_DIR": str(tmp_path / "no-stack")}


@pytest.fixture
def push(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from labelstream_cli.main import app; app()", "push", *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    return run


Push = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def url(rabbitmq: RabbitServer) -> str:
    settings = rabbitmq.settings
    password = settings.password.get_secret_value()
    return f"rabbitmq-stream://{settings.username}:{password}@{settings.host}:{settings.stream_port}"


@pytest.fixture
async def broker(rabbitmq: RabbitServer) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(rabbitmq.settings, Health(), "test")
    yield broker
    await broker.close()


@pytest.fixture
async def stream(broker: RabbitBroker) -> str:
    name = f"annotations.{uuid.uuid4().hex}"
    await broker.ensure_stream(name)
    await broker.ensure_stream(ANNOTATION_EVENTS)
    return name


def push_and_die(environment: dict[str, str], *arguments: object) -> int:
    """Start a push that is killed after it has sent some images; return how it ended."""
    command = [sys.executable, Path(__file__).with_name("dying_push.py"), *arguments]
    return subprocess.run([str(one) for one in command], env=environment, timeout=120, check=False).returncode


async def stored(broker: RabbitBroker, stream: str) -> list[Message]:
    end = await broker.last_offset(stream)
    reader = broker.reader(stream, "first")
    found: list[Message] = []
    at = -1
    while end is not None and at < end:
        for delivery in await reader.read():
            at = delivery.offset
            found.append(decode(delivery.raw))
    return found


def name_of(message: Message) -> str:
    return native.read(message, "created").names[0]


@pytest.mark.broker
async def test_a_push_that_was_killed_goes_on_and_every_image_is_one_message(
    folder: Path, push: Push, broker: RabbitBroker, stream: str, url: str, environment: dict[str, str]
) -> None:
    assert await asyncio.to_thread(push_and_die, environment, folder, stream, url, "sent", 120) == -9

    done = push(folder, "--stream", stream, "--url", url, "--json")

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["sent_earlier"], said["sent"]) == (100, IMAGES - 100)  # the first two confirms were noted
    messages = await stored(broker, stream)
    assert Counter(name_of(one) for one in {one.message_id: one for one in messages}.values()) == Counter(
        f"{number:03}" for number in range(IMAGES)
    )
    same = {(one.message_id, one.body) for one in messages}
    assert len(same) == IMAGES  # what was sent twice is the same message


@pytest.mark.broker
async def test_pushed_again_nothing_is_sent_but_what_changed_and_restart_sends_all(
    folder: Path, push: Push, broker: RabbitBroker, stream: str, url: str
) -> None:
    to = ("--stream", stream, "--url", url)
    first = push(folder, *to)
    assert first.returncode == 0, first.stderr
    assert f"{IMAGES} sent, {IMAGES} confirmed by the broker." in first.stdout

    (folder / "labels/007.txt").write_text("0 0.4 0.4 0.2 0.4\n")
    second = push(folder, *to)
    assert f"{IMAGES - 1} were sent before" in second.stdout
    assert "1 sent, 1 confirmed" in second.stdout
    assert name_of((await stored(broker, stream))[-1]) == "007"

    third = json.loads(push(folder, *to, "--restart", "--json").stdout)
    assert (third["sent"], third["sent_earlier"]) == (IMAGES, 0)


@pytest.mark.broker
async def test_a_stream_that_was_made_anew_gets_everything_again(
    folder: Path, push: Push, broker: RabbitBroker, stream: str, url: str, rabbitmq: RabbitServer
) -> None:
    to = ("--stream", stream, "--url", url)
    assert push(folder, *to).returncode == 0
    async with broker._links.any_node("a test") as link:
        await link.delete_stream(stream)
    await broker.ensure_stream(stream)

    again = push(folder, *to)

    assert "made anew since the last push" in again.stderr
    assert f"{IMAGES} sent, {IMAGES} confirmed" in again.stdout


@pytest.mark.broker
def test_a_stream_that_does_not_exist_is_said_at_once(folder: Path, push: Push, url: str) -> None:
    done = push(folder, "--stream", "nowhere", "--url", url)

    assert done.returncode == 1
    assert "there is no stream 'nowhere'" in done.stderr


def test_a_broker_that_is_away_is_said_at_once(folder: Path, push: Push) -> None:
    done = push(folder, "--url", "rabbitmq-stream://a:b@127.0.0.1:1")

    assert done.returncode == 1
    assert "the broker at 127.0.0.1:1 does not answer" in done.stderr


def test_references_to_another_broker_need_its_store_and_the_message_names_the_variables(
    folder: Path, push: Push
) -> None:
    done = push(folder, "--url", "rabbitmq-stream://a:b@127.0.0.1:1", "--by-reference")

    assert done.returncode == 1
    assert "LABELSTREAM_STORE__ENDPOINT_URL" in done.stderr


@pytest.mark.broker
async def test_unknown_classes_are_said_before_anything_is_sent(
    folder: Path, push: Push, broker: RabbitBroker, stream: str, url: str, tmp_path: Path
) -> None:
    schema = tmp_path / "ours.json"
    schema.write_text(json.dumps({"name": "ours", "classes": ["cart", "person"]}))
    to = ("--stream", stream, "--url", url, "--schema", schema)

    refused = push(folder, *to)
    assert refused.returncode == 1
    assert "does not have 1 class of the source" in refused.stderr
    assert "perhaps cart?" in refused.stderr
    assert await broker.last_offset(stream) is None

    mapped = push(folder, *to, "--map", "car=PERSON")
    assert mapped.returncode == 0, mapped.stderr
    assert {native.read(one, "created").boxes[0].cls for one in await stored(broker, stream)} == {"person"}


def test_a_dry_run_shows_what_would_be_sent_and_needs_no_broker(folder: Path, push: Push, tmp_path: Path) -> None:
    (folder / "labels/000.txt").write_text("0 0.5 0.5 0.2 0.4\n9 0.5 0.5 0.2 0.4\n")
    report = tmp_path / "left-out.csv"

    shown = push(folder, "--dry-run", "--schema", "example", "--report", report)
    said = json.loads(push(folder, "--dry-run", "--json").stdout)

    assert shown.returncode == 0, shown.stderr
    assert "Nothing was sent (--dry-run)." in shown.stdout
    assert (said["form"], said["images"], said["classes"], said["validated"]) == ("YOLO", IMAGES, {"car": IMAGES}, 130)
    assert report.read_text().splitlines() == [
        "name,kind,reason", "000,no such class,line 2: there is no class 9",
    ]  # fmt: skip


@pytest.mark.broker
async def test_a_zip_is_pushed_and_goes_on_where_it_stopped(
    folder: Path, push: Push, broker: RabbitBroker, stream: str, url: str, tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", folder)
    to = ("--stream", stream, "--url", url, "--json")

    first, second = (json.loads(push(archive, *to).stdout) for _ in range(2))

    assert (first["sent"], first["sent_earlier"]) == (IMAGES, 0)
    assert (second["sent"], second["sent_earlier"]) == (0, IMAGES)
    assert len(await stored(broker, stream)) == IMAGES


@pytest.mark.broker
def test_notes_that_cannot_be_written_are_said_before_anything_is_sent(
    folder: Path, push: Push, stream: str, url: str, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a file").write_text("")
    environment["XDG_STATE_HOME"] = str(tmp_path / "a file")

    done = push(folder, "--stream", stream, "--url", url)

    assert done.returncode == 1
    assert "what was sent can't be noted in" in done.stderr
    assert "Traceback" not in done.stderr


def test_images_without_a_label_file_are_counted_before_they_are_sent_as_empty(folder: Path, push: Push) -> None:
    for name in ("000", "001"):
        (folder / f"labels/{name}.txt").unlink()
    (folder / "labels/002.txt").write_text("")

    shown = push(folder, "--dry-run").stdout
    lowered = push(folder, "--dry-run", "--unvalidated").stdout
    said = json.loads(push(folder, "--dry-run", "--json").stdout)

    assert "2 images have no label file: sent as empty, validated (--unvalidated" in shown
    assert "2 images have no label file: sent as empty, unvalidated." in lowered
    assert (said["without_label_file"], said["validated"]) == (2, IMAGES)
    assert "2 images have no label file" in said["warnings"][0]


def test_unlabelled_says_that_names_which_exist_lose_their_boxes(
    push: Push, tmp_path: Path, make_image: MakeImage
) -> None:
    make_image(tmp_path / "snapshots/a.jpg")

    shown = push(tmp_path / "snapshots", "--unlabelled", "--dry-run")

    assert shown.returncode == 0, shown.stderr
    assert "loses its boxes" in shown.stdout


def test_an_archive_that_holds_nothing_is_named_itself_with_what_was_left_out_of_it(push: Push, tmp_path: Path) -> None:
    archive = tmp_path / "outer.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("inner.zip", b"PK")

    done = push(archive, "--dry-run")

    assert done.returncode == 1
    assert f"{archive} has none of the forms" in done.stderr
    assert "inner.zip: it is an archive within the archive" in done.stderr
    assert "labelstream-push-" not in done.stderr


def test_frames_are_told_with_how_many_the_video_has(push: Push, tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for number in range(12):
        writer.write(np.full((64, 96, 3), number * 10, np.uint8))
    writer.release()

    done = push(tmp_path / "film.avi", "--every", "1000000", "--dry-run")

    assert "1 of 12 frames of videos" in done.stdout, done.stderr


def test_a_schema_that_the_stack_does_not_have_refuses_the_classes_that_it_lacks(folder: Path) -> None:
    told, behind = (ClassSchema(name=name, classes=(of,)) for name, of in (("mine", "car"), ("theirs", "boat")))
    same = ClassSchema(name="theirs", classes=("boat", "CAR"))
    target = Target("annotations", None, told, "--schema", schema_behind=behind)
    mapped = ClassMap.of(None).apply(read_folder(folder), told)

    refusal = Plan(folder, mapped, Manner(), target).refusal

    assert refusal is not None
    assert "--schema says 'mine', but the stack has 'theirs', which lacks 1 class of the source" in refusal
    assert Plan(folder, mapped, Manner(), replace(target, schema_behind=same)).refusal is None
    assert Plan(folder, mapped, Manner(), replace(target, schema_behind=None)).refusal is None


@pytest.mark.parametrize("arguments", [("--report", "x.txt"), ("--report", "nowhere/x.csv"), ("--map", "car")])
def test_wrong_options_are_refused_before_anything_is_read(push: Push, tmp_path: Path, arguments: tuple[str]) -> None:
    done = push(tmp_path, "--dry-run", *arguments)

    assert done.returncode == 1
    assert arguments[0] in done.stderr
