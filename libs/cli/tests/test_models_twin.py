"""Asking for a legacy twin, on doubles of the broker, the store and the decider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from labelstream.answers import write_answer
from labelstream.events.model import ModelExported
from labelstream.events.training import Metrics
from labelstream.model_requests import QUEUE, Answer, ModelRequest, WriteTwin
from labelstream.values import FileRef, Position
from labelstream_cli.models.twin import in_words, twin_of
from labelstream_cli.running import CommandFailed

from .jobs_world import World

MODEL = "a1b20000" * 4
FILE = FileRef.of("a file", b"")
NAMED = {"folder": "models", "file": "detector.onnx", "artifact": "onnx-fp32"}
EXPORTED = ModelExported(
    model=MODEL, input=Position(stream="training-events", offset=0), job="j", dataset_id="d", manifest=FILE,
    signature=FILE, artifacts=(), test=Metrics(map50=0.9, map50_95=0.6, precision=0.9, recall=0.9, images=5),
)  # fmt: skip


@asynccontextmanager
async def decider(world: World, answer: Answer, asked: list[ModelRequest]) -> AsyncIterator[None]:
    """Answer every request alike while inside."""

    async def serve() -> None:
        while True:
            taken = await world.queue.take(QUEUE, wait_s=60)
            assert taken is not None
            request = ModelRequest.model_validate(taken.job.payload)
            asked.append(request)
            assert request.answer is not None
            await write_answer(world.blobs, taken.job.project, request.answer, answer)
            await taken.done()

    serving = asyncio.create_task(serve())
    try:
        yield
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


@pytest.fixture
async def world() -> World:
    world = World()
    await world.say(EXPORTED, project="harbour")
    return world


async def test_a_twin_is_asked_for_by_the_first_digits_of_a_model(world: World) -> None:
    asked: list[ModelRequest] = []
    async with decider(world, Answer(outcome="done", model=MODEL), asked):
        twin = await twin_of(world.place, "a1b2", None, NAMED, "ada")
    assert (asked[0].what, asked[0].by) == (WriteTwin(model=MODEL, **NAMED), "ada")
    assert "\n".join(in_words(twin)) == (
        "onnx-fp32 of a1b20000a1b2 is written in the legacy form.\n"
        "  big part    legacy/models/detector.onnx in the model bucket\n"
        "  small part  POST /resources/get/models of the exporter's API, fileName detector.onnx"
    )
    assert twin.as_json()["big_part"] == "legacy/models/detector.onnx"
    assert twin.as_json()["project"] == "harbour"


async def test_a_refusal_is_told_with_its_rule_and_what_to_do(world: World) -> None:
    refused = Answer(outcome="refused", rule="twin.no_key", reason="none is set", hint="Set LEGACY_KEY.")
    async with decider(world, refused, []):
        with pytest.raises(CommandFailed, match=r"twin\.no_key: none is set\. Set LEGACY_KEY\."):
            await twin_of(world.place, "a1b2", None, NAMED, "ada")


@pytest.mark.parametrize(
    "wrong", [{"folder": "../up"}, {"file": "a/b"}, {"file": ""}], ids=["a path", "a slash", "nothing"]
)
async def test_a_name_that_is_none_is_refused_before_anybody_is_asked(world: World, wrong: dict[str, str]) -> None:
    (option,) = wrong
    with pytest.raises(CommandFailed, match=f"--{option}"):
        await twin_of(world.place, "a1b2", None, {**NAMED, **wrong}, "ada")
    assert await world.queue.take(QUEUE, wait_s=0) is None


async def test_a_model_that_is_not_there_is_said(world: World) -> None:
    with pytest.raises(CommandFailed, match="there is no model ffff"):
        await twin_of(world.place, "ffff", None, NAMED, "ada")
