"""The commands about trainings, typed at a real broker and a real store; a script plays the trainer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from labelstream import keys
from labelstream.answers import write_answer
from labelstream.blobs.leases import Leases
from labelstream.blobs.s3 import S3Blobs
from labelstream.events.annotation import AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS, Event
from labelstream.events.envelope import Envelope
from labelstream.events.training import (
    DatasetRef,
    Interval,
    Metrics,
    TrainingCancelled,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRequested,
    TrainingStarted,
)
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.jobs.worker import LEASE
from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.training_requests import QUEUE, Answer, TrainingRequest
from labelstream.trainings import LOG, retry_id
from labelstream.values import FileRef, Position
from labelstream_cli.main import app
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.timeout(300)]

DONE, OPEN, NEW = "3fa90000" * 4, "3fb10000" * 4, "77cc0000" * 4
REPORT = b"<html>a report</html>"
DATASET = DatasetRef(
    id="d" * 64,
    description=FileRef.of("default/datasets/d/dataset.json", b"{}"),
    cut=Position(stream=ANNOTATION_EVENTS, offset=0),
    samples={"train": 80, "val": 6, "test": 5},
    test_images=5,
)
Play = Callable[["Trainer"], Awaitable[None]]


def metrics(map50: float) -> Metrics:
    interval = Interval(low=map50 - 0.1, high=map50 + 0.05)
    return Metrics(map50=map50, map50_95=0.5, precision=0.8, recall=0.7, images=5, map50_interval=interval)


def requested(job: str, **more: Any) -> TrainingRequested:
    recipe = {"epochs": 3, "architecture": "small"}
    return TrainingRequested(job=job, cause="request", dataset=DATASET, recipe=recipe, recipe_digest="9" * 64, **more)


def epoch(job: str, number: int, map50: float) -> TrainingProgressed:
    return TrainingProgressed(
        job=job, attempt=1, epoch=number, epochs=3, losses={"box": 1.0}, map50=map50, map50_95=0.3, seconds=4, eta_s=60
    )


def finished(job: str) -> TrainingFinished:
    weights = FileRef.of(keys.attempt("default", job, 1, "weights.safetensors"), b"weights")
    report = FileRef.of(keys.attempt("default", job, 1, "report.html"), REPORT)
    return TrainingFinished(
        job=job, attempt=1, dataset=DATASET, weights=weights, architecture=weights, best_epoch=2,
        validation=metrics(0.8), test=metrics(0.75), report=report,
    )  # fmt: skip


@dataclass
class Trainer:
    """Plays the trainer and its workers by hand."""

    broker: RabbitBroker
    blobs: S3Blobs
    queue: RabbitJobQueue

    async def say(self, *events: Event) -> None:
        for event in events:
            await self.broker.ensure_stream(event.stream)
            publisher = self.broker.publisher(event.stream, "trainer")
            number = await self.broker.last_publishing_id(event.stream, "trainer") + 1
            envelope = Envelope.of(event, source="trainer", answers=f"{number}", project="default")
            await publisher.publish([(number, envelope.to_message())])
            await publisher.close()

    async def answer(self, answer: Answer) -> TrainingRequest:
        """Answer the next request."""
        taken = await self.queue.take(QUEUE, wait_s=60)
        assert taken is not None
        request = TrainingRequest.model_validate(taken.job.payload)
        assert request.answer is not None
        await write_answer(self.blobs, taken.job.project, request.answer, answer)
        await taken.done()
        return request

    async def log(self, job: str, text: str) -> None:
        await self.blobs.put(keys.attempt("default", job, 1, LOG), text.encode())


@dataclass
class Platform:
    """A broker and a store, and what a person types at them."""

    rabbitmq: RabbitServer
    seaweedfs: WeedServer
    asked: list[TrainingRequest] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """How the commands are told of it."""
        broker, store = self.rabbitmq.settings, self.seaweedfs.settings
        login = f"{broker.username}:{broker.password.get_secret_value()}"
        return {
            "COLUMNS": "140",
            "LABELSTREAM_URL": f"rabbitmq-stream://{login}@{broker.host}:{broker.stream_port}",
            "LABELSTREAM_BROKER__AMQP_PORT": str(broker.amqp_port),
            "LABELSTREAM_STORE__ENDPOINT_URL": store.endpoint_url,
            "LABELSTREAM_STORE__ACCESS_KEY": store.access_key,
            "LABELSTREAM_STORE__SECRET_KEY": store.secret_key.get_secret_value(),
        }

    def type(self, *arguments: str, expected: int = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments), env=self.environment)
        assert result.exit_code == expected, f"{result.output}\n{result.exception!r}"
        return result

    def said(self, *arguments: str, expected: int = 0) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.type(*arguments, "--json", expected=expected).stdout)
        return told

    def play(self, what: Play) -> None:
        asyncio.run(self._play(what))

    @contextmanager
    def meanwhile(self, what: Play) -> Iterator[None]:
        """Play on while a command runs."""
        thread = threading.Thread(target=self.play, args=(what,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join(60)
            assert not thread.is_alive()

    def answering(self, answer: Answer, *then: Event) -> Play:
        """Return a play that answers the next request, then says events."""

        async def play(trainer: Trainer) -> None:
            self.asked.append(await trainer.answer(answer))
            await trainer.say(*then)

        return play

    async def _play(self, what: Play) -> None:
        async with AsyncExitStack() as stack:
            broker = RabbitBroker(self.rabbitmq.settings, Health(), "played trainer")
            stack.push_async_callback(broker.close)
            store = self.seaweedfs.settings
            blobs = S3Blobs(store, store.data_bucket, Health())
            stack.push_async_callback(blobs.close)
            queue = RabbitJobQueue(self.rabbitmq.settings, Health(), "played trainer")
            stack.push_async_callback(queue.close)
            await what(Trainer(broker, blobs, queue))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform on which nobody asked for anything yet."""
    rabbitmq = RabbitServer(tmp_path_factory.mktemp("rabbitmq"), plugins=("rabbitmq_stream",))
    seaweedfs = WeedServer(tmp_path_factory.mktemp("seaweedfs"))
    try:
        rabbitmq.start()
        seaweedfs.start()
        yield Platform(rabbitmq, seaweedfs)
    finally:
        for server in (rabbitmq, seaweedfs):
            server.kill()
            server.stop()


@pytest.fixture(scope="module")
def platform(bare: Platform) -> Platform:
    """One training has finished, and another is under way."""
    assert "`labelstream train` asks for one" in bare.type("jobs", "list").output
    assert "`labelstream train` asks for one" in bare.type("jobs", "show", "3fa9", expected=1).output
    assert "nothing is annotated yet" in bare.type("train", expected=1).output

    async def history(trainer: Trainer) -> None:
        message = Position(stream="annotations", offset=0)
        await trainer.say(AnnotationSettled(input=message, message_key="0" * 64, wire="native", outcomes=()))
        await trainer.say(requested(DONE), TrainingStarted(job=DONE, attempt=1, worker="ada"))
        await trainer.say(epoch(DONE, 1, 0.5), epoch(DONE, 2, 0.8), finished(DONE))
        await trainer.blobs.put(keys.attempt("default", DONE, 1, "report.html"), REPORT)
        await trainer.log(DONE, "epoch 1\nepoch 2\n")
        await trainer.say(requested(OPEN), TrainingStarted(job=OPEN, attempt=1, worker="bob"), epoch(OPEN, 1, 0.4))
        assert await Leases(trainer.blobs, "bob", ttl_s=600).claim(keys.job("default", OPEN, LEASE)) is not None

    bare.play(history)
    return bare


def test_trainings_are_listed_and_shown(platform: Platform, tmp_path: Path) -> None:
    listed = platform.said("jobs", "list")["jobs"]
    assert [(one["job"], one["state"], one["map50_on"]) for one in listed if one["job"] in (DONE, OPEN)] == [
        (OPEN, "started", "val"), (DONE, "finished", "test"),
    ]  # fmt: skip
    assert [one["job"] for one in platform.said("jobs", "list", "--state", "finished")["jobs"]] == [DONE]
    assert "None of" in platform.type("jobs", "list", "--state", "requested").output
    assert platform.said("jobs", "list", "--project", "harbour")["jobs"] == []

    shown = platform.said("jobs", "show", "3fa9")
    assert [one["epoch"] for one in shown["history"]] == [1, 2]
    assert shown["result"]["test"]["map50_interval"]["high"] == pytest.approx(0.8)
    assert "bob works on it" in platform.type("jobs", "show", OPEN[:6]).output
    assert "like it: 3fa900003fa9" in " ".join(platform.type("jobs", "show", "3fa8", expected=1).output.split())

    file = tmp_path / "report.html"
    platform.type("jobs", "show", "3fa9", "--report", str(file))
    assert file.read_bytes() == REPORT
    nowhere = platform.type("jobs", "show", "3fb1", "--report", str(file), expected=1).output
    assert "has none: it is started" in nowhere


def test_a_log_is_printed_and_followed_until_the_training_ends(platform: Platform) -> None:
    assert platform.type("jobs", "logs", "3fa9").stdout == "epoch 1\nepoch 2\n"
    assert "3fb100003fb1 has left no log" in platform.type("jobs", "logs", "3fb1", expected=1).output

    job = "55dd0000" * 4
    platform.play(lambda trainer: trainer.say(requested(job)))

    async def work(trainer: Trainer) -> None:
        await trainer.say(TrainingStarted(job=job, attempt=1, worker="ada"))
        await trainer.log(job, "one\n")
        await trainer.log(job, "one\ntwo\n")
        await trainer.say(TrainingFailed(job=job, attempt=1, rule="training.failed", reason="no room"))

    with platform.meanwhile(work):
        followed = platform.type("jobs", "logs", "-f", "55dd")
    assert followed.stdout == "one\ntwo\n"
    assert "55dd000055dd is failed: training.failed: no room" in followed.stderr


def test_a_training_is_cancelled_and_done_again(platform: Platform) -> None:
    job = "66ee0000" * 4
    platform.play(lambda trainer: trainer.say(requested(job)))
    ended = TrainingCancelled(job=job, attempt=0, reason="wrong recipe")
    with platform.meanwhile(platform.answering(Answer(outcome="cancelled", job=job), ended)):
        said = platform.type("jobs", "cancel", "66ee", "--reason", "wrong recipe", "--yes").stdout
    assert "cancelled" in said
    assert "kept: nothing: no epoch had ended" in said
    assert (platform.asked[-1].cancel, platform.asked[-1].reason) == (job, "wrong recipe")
    again = platform.type("jobs", "cancel", "66ee", "--yes", expected=1).output
    assert "nothing to cancel" in again

    retried = retry_id(job)
    answer = Answer(outcome="requested", job=retried)
    with platform.meanwhile(platform.answering(answer, requested(retried, retry_of=job), finished(retried))):
        said = platform.said("jobs", "retry", "66ee", "--wait")
    assert (said["job"], said["training"]["state"]) == (retried, "finished")
    assert platform.asked[-1].retry == job
    assert "nothing to do again" in platform.type("jobs", "retry", "3fa9", expected=1).output


def test_a_training_is_asked_for_with_a_recipe_and_awaited(platform: Platform, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("epochs: 3\narchitecture: small\n")
    answer = Answer(outcome="requested", job=NEW)
    begun = (requested(NEW), TrainingStarted(job=NEW, attempt=1, worker="ada"), epoch(NEW, 1, 0.4))
    with platform.meanwhile(platform.answering(answer, *begun, finished(NEW))):
        said = platform.said("train", "--at", "0", "--recipe", str(recipe), "--seed", "7", "--wait")
    assert (said["training"]["state"], said["result"]["test"]["map50"]) == ("finished", 0.75)
    asked = platform.asked[-1]
    assert (asked.cut, asked.recipe, asked.changes) == (0, {"epochs": 3, "architecture": "small"}, {"seed": 7})

    refused = Answer(outcome="refused", rule="recipe.unreadable", reason="there is no training recipe 'yolo99'")
    with platform.meanwhile(platform.answering(refused)):
        said_of_it = platform.type("train", "--at", "0", "--recipe", "yolo99", expected=1).output
    assert "there is no training recipe 'yolo99'" in said_of_it
    assert "the last offset of annotation-events is 0" in platform.type("train", "--at", "9", expected=1).output


def test_interrupting_the_wait_ends_the_wait_alone(platform: Platform) -> None:
    job = "88ff0000" * 4
    program = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born ignoring it
from labelstream_cli.main import app
app()
"""
    command = [sys.executable, "-c", program, "train", "--at", "0", "--wait"]
    platform.play(lambda trainer: trainer.say(requested(job)))
    environment = {**os.environ, **platform.environment}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    platform.play(platform.answering(Answer(outcome="requested", job=job)))
    assert process.stderr is not None
    assert any("waits for a free worker" in line for line in iter(process.stderr.readline, ""))
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert "The training goes on: `labelstream jobs show 88ff000088ff`." in rest
    assert process.returncode == 130
    assert platform.said("jobs", "show", "88ff")["state"] == "requested"
