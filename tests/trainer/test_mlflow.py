"""The mirror on the servers of the embedded stack: an MLflow that was asked for, a real broker, a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.stack.observing import listeners, of_each

from labelstream.blobs.s3 import S3Blobs
from labelstream.events.base import Event
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported, ModelPromoted
from labelstream.events.training import DatasetRef, Metrics, TrainingFinished, TrainingProgressed, TrainingRequested
from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.values import FileRef, Position, sha256_hex
from labelstream_local.mlflow import MLFLOW, find_mlflow
from labelstream_local.process import StartFailed
from labelstream_local.services import BY_NAME, command_of
from labelstream_local.stack import Options, Stack, down, load, up
from trainer.mirror.wiring import mirror
from trainer.settings import TrainerGroup, TrainerSettings

pytestmark = [pytest.mark.broker, pytest.mark.store]

JOB, MODEL = "job-1", "model-1"
FILES = {
    name: FileRef.of(f"default/jobs/{JOB}/{name}", name.encode()) for name in ("weights", "architecture", "report")
}
DATASET = DatasetRef(
    id=sha256_hex(b"dataset"),
    description=FileRef.of("default/datasets/d/dataset.json", b"{}"),
    cut=Position(stream="annotation-events", offset=9),
    samples={"train": 7, "val": 2, "test": 1},
    test_images=1,
)
TEST = Metrics(map50=0.9, map50_95=0.6, precision=0.8, recall=0.7, images=1)


def _epoch(number: int) -> TrainingProgressed:
    return TrainingProgressed(
        job=JOB,
        attempt=1,
        epoch=number,
        epochs=3,
        losses={"box_loss": 1 / number},
        map50=number / 10,
        map50_95=number / 20,
        seconds=number,
        eta_s=0,
    )


BEFORE: tuple[Event, ...] = (
    TrainingRequested(
        job=JOB, cause="request", dataset=DATASET, recipe={"epochs": 3}, recipe_digest=sha256_hex(b"recipe")
    ),
    _epoch(1),
)
MEANWHILE: tuple[Event, ...] = (
    _epoch(2),
    _epoch(3),
    TrainingFinished(job=JOB, attempt=1, dataset=DATASET, best_epoch=3, validation=TEST, test=TEST, **FILES),
    ModelExported(
        model=MODEL,
        input=Position(stream="training-events", offset=4),
        job=JOB,
        dataset_id=DATASET.id,
        manifest=FILES["report"],
        signature=FILES["report"],
        artifacts=(),
        test=TEST,
    ),
    ModelPromoted(
        model=MODEL,
        number=1,
        manifest=FILES["report"],
        signature=FILES["report"],
        statement="{}",
        statement_signature="",
        reason="the first",
    ),
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The servers of a stack with an MLflow."""
    try:
        find_mlflow()
    except StartFailed as problem:
        pytest.skip(str(problem))
    directory = tmp_path_factory.mktemp("stack") / "in a folder with spaces"
    try:
        yield up(directory, Options(services=(), mlflow=True))
    finally:
        down(directory)


@asynccontextmanager
async def _mirroring(stack: Stack) -> AsyncIterator[Health]:
    settings = TrainerSettings(
        broker=stack.broker,
        store=stack.store,
        trainer=TrainerGroup(mlflow_url=stack.url(MLFLOW), mlflow_password=SecretStr(stack.mlflow.password)),
    )
    health = Health()
    task = asyncio.create_task(mirror(settings, health))
    try:
        yield health
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _say(stack: Stack, *events: Event) -> None:
    broker = RabbitBroker(stack.broker, Health(), "test")
    for event in events:
        await broker.ensure_stream(event.stream)
        number = await broker.last_publishing_id(event.stream, "test") + 1
        envelope = Envelope.of(event, source="test", answers=str(number), project="default")
        await broker.publisher(event.stream, "test").publish([(number, envelope.to_message())])
    await broker.close()


async def _until(happened: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(120):
        while not (found := await happened()):  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.2)
    return found


async def _asked(stack: Stack, path: str, **asked: Any) -> dict[str, Any]:
    base_url = f"{stack.url(MLFLOW)}/api/2.0/mlflow"
    async with httpx.AsyncClient(base_url=base_url, auth=stack.mlflow.login, timeout=30) as client:
        try:
            post = path.endswith("/search")
            answer = await (client.post(path, json=asked) if post else client.get(path, params=asked))
        except httpx.HTTPError:
            return {}
        return answer.json() if answer.is_success else {}


async def _epochs(stack: Stack) -> list[int]:
    run = await _run(stack)
    found = await _asked(stack, "metrics/get-history", run_id=run["info"]["run_id"], metric_key="val/map50")
    return [int(point["step"]) for point in found.get("metrics", [])]


async def _has(stack: Stack, epoch: int) -> bool:
    return await _runs(stack) != [] and epoch in await _epochs(stack)


async def _stopped(stack: Stack) -> bool:
    return stack.supervisor.processes()[MLFLOW].state == "STOPPED"


async def _degraded(health: Health) -> str | None:
    return health.report()["degraded"].get("MLflow")


async def _runs(stack: Stack) -> list[dict[str, Any]]:
    found = await _asked(stack, "experiments/get-by-name", experiment_name="labelstream-default")
    if not found:
        return []
    return (await _asked(stack, "runs/search", experiment_ids=[found["experiment"]["experiment_id"]])).get("runs", [])


async def _run(stack: Stack) -> dict[str, Any]:
    (run,) = await _runs(stack)
    return run


async def _aliases(stack: Stack) -> list[dict[str, str]]:
    model = await _asked(stack, "registered-models/get", name="labelstream-default")
    return model.get("registered_model", {}).get("aliases", [])


async def test_what_happened_while_mlflow_was_away_is_mirrored_when_it_is_back(stack: Stack):
    blobs = S3Blobs(stack.store, stack.store.data_bucket, Health())
    for name, file in FILES.items():
        await blobs.put(file.key, name.encode())
    await blobs.close()
    async with _mirroring(stack) as health:
        await _say(stack, *BEFORE)
        await _until(lambda: _has(stack, 1))
        stack.supervisor.stop_program(MLFLOW)
        await _until(lambda: _stopped(stack))
        await _say(stack, *MEANWHILE)
        degraded = await _until(lambda: _degraded(health))
        assert "trainings go on" in degraded
        assert health.is_ready
        stack.supervisor.start_program(MLFLOW)
        assert await _until(lambda: _aliases(stack)) == [{"alias": "champion", "version": "1"}]
    assert await _epochs(stack) == [1, 2, 3]
    assert (await _run(stack))["info"]["status"] == "FINISHED"


async def test_a_mirror_started_again_changes_nothing(stack: Stack):
    async with _mirroring(stack):
        await _say(stack, _epoch(4))
        await _until(lambda: _has(stack, 4))
    assert await _epochs(stack) == [1, 2, 3, 4]


def test_the_trainer_is_told_where_it_is(stack: Stack):
    trainer = command_of(BY_NAME["trainer"], stack.context, {})
    assert trainer.environment["LABELSTREAM_TRAINER__MLFLOW_URL"] == stack.url(MLFLOW)
    assert up(stack.layout.root, Options(services=(), mlflow=True)).was_running


def test_it_keeps_to_itself(stack: Stack):
    told = of_each(stack, lambda process: (" ".join(process.cmdline()), listeners(process)))
    listening = {each.laddr for line, connections in told if MLFLOW in line for each in connections}
    assert listening == {("127.0.0.1", stack.record.ports.mlflow)}


def test_a_stack_without_it_is_not_taken_for_one_with_it(tmp_path: Path):
    try:
        without = up(tmp_path, Options(services=(), servers=("seaweedfs",)))
        trainer = command_of(BY_NAME["trainer"], without.context, {})
        assert "LABELSTREAM_TRAINER__MLFLOW_URL" not in trainer.environment
        with pytest.raises(StartFailed, match=MLFLOW):
            up(tmp_path, Options(services=(), servers=("seaweedfs",), mlflow=True))
        assert load(tmp_path).record.on_request == ()
    finally:
        down(tmp_path)
