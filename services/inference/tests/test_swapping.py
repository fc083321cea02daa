"""Swaps under load, and models that go back: no request fails, and each answer names the model that gave it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from labelstream.events.serving import ModelActivated, ModelReverted

GAINS = {f"m{number}": 1 - number / 20 for number in range(1, 8)}


@pytest.fixture
def white_picture() -> bytes:
    """A picture without anything in it, all white."""
    return cv2.imencode(".png", np.full((64, 64, 3), 255, np.uint8))[1].tobytes()


@pytest.fixture
def spoiled(detector):
    """A detector that passes its golden images, and answers with scores of 7 over a picture that is all white."""
    graph = onnx.load_from_string(detector(0.5))
    nodes = graph.graph.node
    next(node for node in nodes if node.op_type == "Add").output[0] = "right_scores"
    wrong = [
        helper.make_node("ReduceMin", ["images"], ["darkest"], keepdims=0),
        helper.make_node("Greater", ["darkest", "white"], ["is_white"]),
        helper.make_node("Cast", ["is_white"], ["one_if_white"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["one_if_white", "seven"], ["seven_if_white"]),
        helper.make_node("Add", ["right_scores", "seven_if_white"], ["plain_scores"]),
    ]
    concat = nodes.pop()
    nodes.extend([*wrong, concat])
    for name, value in (("white", 0.99), ("seven", 7)):
        graph.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


@asynccontextmanager
async def load(client, image: bytes, clients: int = 4):
    """Ask without a pause meanwhile; yields the answers, the newest last."""
    answers: list[tuple[int, dict]] = []

    async def ask() -> None:
        while True:
            response = await client.post("/v1/predict", content=image)
            answers.append((response.status_code, response.json()))

    asking = [asyncio.create_task(ask()) for _ in range(clients)]
    try:
        yield answers
    finally:
        for task in asking:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def answered_by(answers: list[tuple[int, dict]], model: str) -> None:
    """Wait until a model has answered."""
    seen = len(answers)
    await eventually(lambda: any(answer.get("model") == model for _, answer in answers[seen:]))


async def eventually(condition) -> None:
    """Wait until something is so that no event tells of."""
    while True:
        if condition():
            return
        await asyncio.sleep(0.005)


def named_rightly(answers: list[tuple[int, dict]], gains: dict[str, float]) -> bool:
    """Say whether each answer has the scores of the model that it names."""
    return all(
        [round(found["confidence"], 2) for found in answer["detections"]] == [round(gains[answer["model"]], 2)]
        for _, answer in answers
    )


@pytest.mark.parametrize("probation_s", [0, 180], ids=["at once", "on probation"])
async def test_swaps_under_load_fail_no_request_and_answers_name_who_gave_them(world, red_picture, probation_s) -> None:
    await world.promote("m1", 1, GAINS["m1"])
    async with world.replica(probation_s=probation_s) as client:
        await world.heard()
        async with load(client, red_picture) as answers:
            for number in range(2, 8):
                await world.promote(f"m{number}", number, GAINS[f"m{number}"])
                assert (await world.heard()).model == f"m{number}"
                await answered_by(answers, f"m{number}")
    assert {status for status, _ in answers} == {200}
    assert {answer["model"] for _, answer in answers} == set(GAINS)
    assert named_rightly(answers, GAINS)


async def test_requests_that_a_new_model_fails_over_are_answered_by_the_one_before_until_it_goes_back(
    world, red_picture, white_picture, spoiled, golden
) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        await world.promote("m2", 2, 0.5, graph=spoiled)
        assert (await world.heard()).model == "m2"
        models = (await client.get("/v1/models")).json()["models"]
        assert [(each["model"], each["on_probation"]) for each in models] == [("m2", True)]
        assert (await client.post("/v1/predict", content=red_picture)).json()["model"] == "m2"
        pinned = await client.post("/v1/predict?model=m1", content=red_picture)
        assert pinned.json()["model"] == "m1", "what stands behind it answers to its name"
        for _ in range(3):
            response = await client.post("/v1/predict", content=white_picture)
            assert (response.status_code, response.json()["model"]) == (200, "m1"), response.text
        assert (await client.post("/v1/predict", content=red_picture)).json()["model"] == "m1"
        reverted = await world.heard()
        assert isinstance(reverted, ModelReverted)
        assert (reverted.model, reverted.number, reverted.serving, reverted.serving_number) == ("m2", 2, "m1", 1)
        assert reverted.rule == "probation.failed"
        assert "Absurd" in reverted.reason
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert "promotion 2 of m2 went back: probation.failed" in ready.json()["degraded"]["model of default"]
        (told,) = (await client.get("/v1/models")).json()["models"]
        assert (told["model"], told["on_probation"], told["reverted"]["promotion"]) == ("m1", False, 2)


async def reverted_once(world, client, white_picture: bytes, spoiled: bytes) -> None:
    """Let m2 take over from m1, and go back."""
    assert (await world.heard()).model == "m1"
    await world.promote("m2", 2, 0.5, graph=spoiled)
    assert (await world.heard()).model == "m2"
    for _ in range(3):
        await client.post("/v1/predict", content=white_picture)
    assert isinstance(await world.heard(), ModelReverted)


async def test_what_went_back_is_not_tried_again_until_a_higher_number_comes(
    world, red_picture, white_picture, spoiled
) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await reverted_once(world, client, white_picture, spoiled)
    kept = {path.name for path in (world.directory / "state" / "models" / "default").iterdir() if path.is_dir()}
    assert kept == {"1"}
    async with world.replica() as client:
        assert (await world.heard()).number == 1
        await world.until(lambda: world.health.report().get("streams", {}).get("model-events") == {"offset": 1})
        assert (await client.post("/v1/predict", content=red_picture)).json()["model"] == "m1"
        assert "went back" in (await client.get("/readyz")).json()["degraded"]["model of default"]
        assert (await client.get("/v1/models")).json()["models"][0]["reverted"]["model"] == "m2"
        await world.promote("m3", 3)
        activated = await world.heard()
        assert isinstance(activated, ModelActivated)
        assert (activated.model, activated.number) == ("m3", 3), "nothing was said of m2 in between"
        assert (await client.get("/readyz")).json()["degraded"] == {}
        assert (await client.get("/v1/models")).json()["models"][0]["reverted"] is None


async def test_a_restart_goes_on_with_a_probation(world, red_picture, white_picture, spoiled) -> None:
    await world.promote("m1", 1)
    async with world.replica():
        await world.heard()
        await world.promote("m2", 2, 0.5, graph=spoiled)
        assert (await world.heard()).model == "m2"
    async with world.replica() as client:
        assert (await world.heard()).model == "m2"
        await eventually(lambda: world.health.report()["model"]["default"]["on_probation"])
        for _ in range(3):
            await client.post("/v1/predict", content=white_picture)
        assert (await world.heard()).serving == "m1"


def _die(world) -> None:
    """Leave the shelf as a process leaves it that has no time for anything."""
    path = world.directory / "state" / "models" / "default" / "probation.json"
    noted = json.loads(path.read_bytes())
    path.write_text(json.dumps({**noted, "starts": noted["starts"] + 1}))


async def test_a_service_that_dies_twice_on_a_probation_goes_back_at_its_start(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica():
        await world.heard()
        await world.promote("m2", 2)
        await world.heard()
    async with world.replica():
        assert (await world.heard()).model == "m2", "being told to stop is no death"
    _die(world)
    async with world.replica():
        assert (await world.heard()).model == "m2", "one may be anybody's fault"
    _die(world)
    _die(world)
    world.broker.away = True  # none of it needs a network
    async with world.replica() as client:
        await world.until(lambda: world.health.is_ready)
        assert (await client.post("/v1/predict", content=red_picture)).json()["model"] == "m1"
        world.broker.away = False
        reverted = await world.heard()
        assert (reverted.rule, reverted.model, reverted.serving) == ("probation.died", "m2", "m1")
        assert (await world.heard()).model == "m1"
        assert "probation.died" in (await client.get("/readyz")).json()["degraded"]["model of default"]


async def test_a_model_that_passed_its_probation_stands_alone_on_the_shelf(world) -> None:
    await world.promote("m1", 1)
    async with world.replica(probation_s=0.01) as client:
        await world.heard()
        await world.promote("m2", 2)
        await world.heard()
        shelf = world.directory / "state" / "models" / "default"
        await eventually(lambda: not (shelf / "1").exists())
        assert not (shelf / "probation.json").exists()
        assert (await client.get("/v1/models")).json()["models"][0]["on_probation"] is False
        assert (await client.post("/v1/predict?model=m1", content=b"")).status_code == 404


async def test_projects_swap_each_for_itself(world, red_picture) -> None:
    projects = ("default", "ships", "empty")
    await world.promote("m1", 1, GAINS["m1"])
    async with world.replica(projects=projects) as client:
        await world.heard()
        await world.promote("s1", 1, 0.3, project="ships")
        assert (await world.heard()).model == "s1"
        async with load(client, red_picture) as answers:
            for number in range(2, 5):
                await world.promote(f"m{number}", number, GAINS[f"m{number}"])
                await world.promote(f"s{number}", number, 0.3, project="ships")
                assert {(await world.heard()).model for _ in range(2)} == {f"m{number}", f"s{number}"}
                ships = await client.post("/v1/predict?project=ships", content=red_picture)
                assert (ships.json()["model"], ships.json()["promotion"]) == (f"s{number}", number)
                await answered_by(answers, f"m{number}")
        assert {status for status, _ in answers} == {200}
        assert named_rightly(answers, GAINS)
        nothing = await client.post("/v1/predict?project=empty", content=red_picture)
        assert (nothing.status_code, nothing.json()["rule"]) == (503, "model.none_yet")
        assert (await client.get("/v1/models")).json()["waiting"] == ["empty"]


async def test_a_refusal_in_one_project_leaves_the_others_alone(world, red_picture, golden) -> None:
    async with world.replica(projects=("default", "ships")) as client:
        await world.promote("s1", 1, 0.9, project="ships", golden=golden(1.0))
        assert (await world.heard()).rule == "model.golden_differs"
        await world.promote("m1", 1)
        assert (await world.heard()).model == "m1"
        assert (await client.post("/v1/predict", content=red_picture)).status_code == 200
        assert (await client.get("/readyz")).status_code == 503, "a project without a model is said"
