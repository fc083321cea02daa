"""The commands about models, typed at a real broker and a real store, where the exporter's own registry answers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner, Result

from exporter.exporting.voice import NAME, Voice
from exporter.registry.policy import PromotionPolicy
from exporter.registry.promoting import Promoting
from exporter.registry.requests import Promotes, Rollbacks, Withdraws
from exporter.requesting import Requests
from labelstream import keys
from labelstream.blobs.s3 import S3Blobs
from labelstream.events.base import MODEL_EVENTS, TRAINING_EVENTS
from labelstream.events.model import Agreement, ArtifactRef, ModelExported
from labelstream.events.training import Metrics
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.model_requests import GrantRequest, Promote, Rollback, Withdraw
from labelstream.models import ModelBook
from labelstream.protection.promotions import check_promotion
from labelstream.protection.signing_keys import new_signing_key
from labelstream.service.health import Health
from labelstream.streams.journal import Journal
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.values import FileRef, Position
from labelstream_cli.main import app
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.timeout(300)]

FIRST, SECOND, THIRD = "a1b20000" * 4, "c3d40000" * 4, "e5f60000" * 4
REPORT = b"<html>a report</html>"
DEVICE = "kiosk"
T = TypeVar("T")


def exported(model: str, map50_95: float) -> ModelExported:
    agreement = Agreement(images=5, boxes=9, unmatched=0, max_box_px=0.01, max_score=0.001)
    file = FileRef.of(keys.model("default", model, "manifest.json"), b"{}")
    artifact = ArtifactRef(
        name="onnx-fp32", format="onnx", precision="fp32", big_part=file, sealed_sha256="0" * 64, agreement=agreement
    )
    return ModelExported(
        model=model,
        input=Position(stream=TRAINING_EVENTS, offset=0),
        job=f"job of {model[:4]}",
        dataset_id=f"dataset of {model[:4]}",
        manifest=file,
        signature=file,
        artifacts=(artifact,),
        test=Metrics(map50=0.9, map50_95=map50_95, precision=0.9, recall=0.9, images=5),
        report=FileRef.of(keys.model("default", model, "report.html"), REPORT),
    )


@dataclass
class Exporter:
    """The decider's registry, in a thread of its own."""

    rabbitmq: RabbitServer
    seaweedfs: WeedServer
    key: Path
    book: ModelBook = field(default_factory=ModelBook)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    started: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Exporter:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.started.wait(120)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.task.cancel)
        self.thread.join(60)
        assert not self.thread.is_alive()

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        """Have something done in the exporter's thread."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(60)

    def _run(self) -> None:
        self.task = self.loop.create_task(self._serve())
        with suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self.task)
        self.loop.close()

    async def _serve(self) -> None:
        health, store = Health(), self.seaweedfs.settings
        async with AsyncExitStack() as stack:
            broker = RabbitBroker(self.rabbitmq.settings, health, NAME)
            stack.push_async_callback(broker.close)
            data = S3Blobs(store, store.data_bucket, health)
            self.models = S3Blobs(store, store.model_bucket, health)
            self.resources = S3Blobs(store, store.resources_bucket, health)
            queue = RabbitJobQueue(self.rabbitmq.settings, health, NAME)
            for each in (data, self.models, self.resources, queue):
                stack.push_async_callback(each.close)
            journal = Journal(broker, MODEL_EVENTS, [NAME], self.book.fold, health)
            await broker.ensure_stream(TRAINING_EVENTS)
            await journal.open()
            stack.push_async_callback(journal.close)
            self.voice = Voice(journal, health)
            self.promoting = Promoting(
                self.book, self.voice, lambda _: None, data, PromotionPolicy(), self.key, health
            )  # fmt: skip
            handlers = {
                Promote: Promotes(self.promoting),
                Rollback: Rollbacks(self.promoting),
                Withdraw: Withdraws(self.promoting, self._forget),
            }
            self.started.set()
            await Requests(queue, data, handlers, self._no_grants, health).serve()

    async def export(self, model: str, map50_95: float) -> None:
        """Publish a model, with a report and a device's grant."""
        if model in self.book.models:
            return
        await self.models.put(keys.model("default", model, "report.html"), REPORT)
        await self.resources.put(keys.grant("default", model, DEVICE), b"a grant")
        await self.voice.say(exported(model, map50_95), "default")
        await self.promoting.consider()

    async def granted(self, model: str) -> bool:
        return await self.resources.head(keys.grant("default", model, DEVICE)) is not None

    async def _forget(self, project: str, model: str) -> None:
        async for info in self.resources.list(keys.grants(project, model)):
            await self.resources.delete(info.key)

    async def _no_grants(self, project: str, request: GrantRequest) -> None:
        raise AssertionError(f"nobody asked for a grant of {request.model} in {project}")


@dataclass
class Platform:
    """A broker, a store and the exporter, and what a person types at them."""

    rabbitmq: RabbitServer
    seaweedfs: WeedServer
    exporter: Exporter

    @property
    def environment(self) -> dict[str, str]:
        broker, store = self.rabbitmq.settings, self.seaweedfs.settings
        login = f"{broker.username}:{broker.password.get_secret_value()}"
        return {
            "COLUMNS": "160",
            "LABELSTREAM_URL": f"rabbitmq-stream://{login}@{broker.host}:{broker.stream_port}",
            "LABELSTREAM_BROKER__AMQP_PORT": str(broker.amqp_port),
            "LABELSTREAM_STORE__ENDPOINT_URL": store.endpoint_url,
            "LABELSTREAM_STORE__ACCESS_KEY": store.access_key,
            "LABELSTREAM_STORE__SECRET_KEY": store.secret_key.get_secret_value(),
        }

    def type(self, *arguments: str, expected: int = 0) -> Result:
        result = CliRunner().invoke(app, ["models", *arguments], env=self.environment)
        assert result.exit_code == expected, f"{result.output}\n{result.exception!r}"
        return result

    def said(self, *arguments: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.type(*arguments, "--json").stdout)
        return told


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    rabbitmq = RabbitServer(tmp_path_factory.mktemp("rabbitmq"), plugins=("rabbitmq_stream",))
    seaweedfs = WeedServer(tmp_path_factory.mktemp("seaweedfs"))
    folder = tmp_path_factory.mktemp("keys")
    private, public = new_signing_key()
    (folder / "signer.pem").write_bytes(private)
    (folder / "signer.pub.pem").write_bytes(public)
    try:
        rabbitmq.start()
        seaweedfs.start()
        with Exporter(rabbitmq, seaweedfs, folder / "signer.pem") as exporter:
            yield Platform(rabbitmq, seaweedfs, exporter)
    finally:
        for server in (rabbitmq, seaweedfs):
            server.kill()
            server.stop()


def test_models_are_promoted_rolled_back_and_withdrawn_and_every_step_is_in_the_log(
    platform: Platform, tmp_path: Path
) -> None:
    exporter = platform.exporter
    assert "No training was exported yet" in platform.type("list").output
    assert "no model serves yet" in platform.type("show", "serving", expected=1).output

    exporter.do(exporter.export(FIRST, 0.5))
    exporter.do(exporter.export(SECOND, 0.4))
    listed = platform.said("list")["models"]
    assert [(one["model"], one["standing"]) for one in listed] == [(SECOND, "not promoted"), (FIRST, "serves")]
    assert "mAP50-95 0.400 against 0.500" in listed[0]["not_promoted"]

    told = platform.said("promote", "c3d4", "--why", "the night shift asked", "--by", "ana")
    assert (told["outcome"], told["number"], told["served_before"], told["model"]) == ("done", 2, FIRST, SECOND)
    again = platform.type("promote", "c3d4", "--why", "once more", "--by", "ana").stdout
    assert again == "Model c3d40000c3d4 of default serves already, by promotion 2.\n"

    shown = platform.said("show", "serving")
    assert (shown["model"], shown["promotions"][0]["by"], shown["promotions"][0]["cause"]) == (SECOND, "ana", "request")
    statement = check_promotion(
        shown["promotions"][0]["statement"],
        shown["promotions"][0]["statement_signature"],
        [exporter.key.with_name("signer.pub.pem")],
        project="default",
        above=1,
    )
    assert statement.manifest_sha256 == shown["manifest"]["sha256"]
    page = tmp_path / "report.html"
    platform.type("show", "serving", "--report", str(page))
    assert page.read_bytes() == REPORT

    serving = platform.type("withdraw", "serving", "--why", "it is bad", expected=1).output
    assert "model.serves" in serving
    assert "Roll back first" in serving
    assert exporter.do(exporter.granted(SECOND))
    back = platform.type("rollback", "--why", "misses trucks").stdout
    assert "Promotion 3 of default: c3d40000c3d4 → a1b20000a1b2." in back
    nowhere = platform.type("rollback", "--why", "still", expected=1).output
    assert "rollback.nothing_before" in nowhere

    gone = platform.type("withdraw", "c3d4", "--why", "mislabelled", "--by", "ana").stdout
    assert gone.startswith("Model c3d40000c3d4 of default is withdrawn")
    assert not exporter.do(exporter.granted(SECOND))
    assert exporter.do(exporter.granted(FIRST))
    for asking in (["promote", "c3d4"], ["rollback", "--to", "c3d4"]):
        refused = " ".join(platform.type(*asking, "--why", "try", expected=1).output.split())
        assert "model.withdrawn: the model c3d4" in refused
        assert "withdrawn by ana: mislabelled" in refused
    assert [one["standing"] for one in platform.said("list")["models"]] == ["withdrawn", "serves"]


def test_two_models_are_compared_on_a_page(platform: Platform, tmp_path: Path) -> None:
    platform.exporter.do(platform.exporter.export(THIRD, 0.1))
    target = tmp_path / "compare.html"
    told = platform.said("compare", "e5f6", "serving", "--page", str(target))
    assert (told["a"], told["same_images"]) == (THIRD, False)
    assert "not comparable" in target.read_text()
    missing = platform.type("compare", "e5f6", "serving", "--page", str(tmp_path / "no" / "page.html"), expected=1)
    assert "there is no directory" in missing.output


def test_a_request_that_nobody_waits_for_is_done_all_the_same(platform: Platform) -> None:
    exporter = platform.exporter
    exporter.do(exporter.export(THIRD, 0.1))
    asked = platform.type("promote", "e5f6", "--why", "as agreed", "--no-wait").stdout
    assert "`labelstream models show e5f60000e5f6` tells what became of it" in asked
    answer = platform.said("promote", "e5f6", "--why", "as agreed")  # requests are served one after the other
    assert answer["outcome"] == "known"


def test_who_does_not_say_why_is_asked_to(platform: Platform) -> None:
    assert "--why" in platform.type("promote", "a1b2", expected=2).output
    assert "say why" in platform.type("promote", "a1b2", "--why", " ", expected=2).output
