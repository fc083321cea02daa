"""The queues of requests: each is answered, and none stops another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from labelstream import keys
from labelstream.answers import read_answer
from labelstream.errors import Unavailable
from labelstream.events.access import AccessEvent, AccessGiven, GrantMade
from labelstream.model_requests import GRANTS_QUEUE, QUEUE, AddDevice, Answer, GrantRequest, ModelRequest, Promote
from labelstream.protection.sealing import new_identity

from .world import PROJECT, World, device, job

IDENTITY = new_identity()[0]
FIRST, SECOND, THIRD = "1" * 32, "2" * 32, "3" * 32


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[Callable[[Callable[[], bool]], Any]]:
    """Serve the queues while inside; what is given waits until something is so."""
    task = asyncio.create_task(world.requests.serve())

    async def until(is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not is_so():
                assert not task.done(), task
                await asyncio.sleep(0.005)

    try:
        yield until
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def add(name: str, answer: str, **more: Any) -> dict[str, Any]:
    request = ModelRequest(what=AddDevice(device=device(name, IDENTITY)), by="ada", answer=answer)
    return {**request.model_dump(mode="json"), **more}


def answered(world: World, answer_id: str) -> bool:
    return keys.answer(PROJECT, answer_id) in world.data._objects


async def test_requests_are_answered_where_the_answer_is_awaited(world: World) -> None:
    async with serving(world) as until:
        await world.queue.put(QUEUE, job(add("kiosk", FIRST), "a"))
        await until(lambda: answered(world, FIRST))
        await until(lambda: not world.queue._held)
    assert await read_answer(Answer, world.data, PROJECT, FIRST) == Answer(outcome="done")
    assert world.events(AccessEvent) == [AccessGiven(kind="device", name="kiosk", by="ada")]


@pytest.mark.parametrize(
    ("payload", "rule", "reason"),
    [
        (add("kiosk", FIRST, by=""), "request.unreadable", "by: String should have at least 1 character"),
        (add("kiosk", FIRST, what={"ask": "dance"}), "request.unreadable", "what: Input tag 'dance'"),
        ({"answer": FIRST}, "request.unreadable", "what: Field required; by: Field required"),
        (ModelRequest(what=Promote(model="m"), by="ada", answer=FIRST), "request.unknown", "does not promote"),
    ],
    ids=["nobody", "unknown word", "empty", "no handler"],
)
async def test_a_bad_request_is_answered_with_rule_reason_and_hint_and_the_next_is_served(
    world: World, payload: Any, rule: str, reason: str
) -> None:
    told = payload if isinstance(payload, dict) else payload.model_dump(mode="json")
    async with serving(world) as until:
        await world.queue.put(QUEUE, job(told, "bad"))
        await world.queue.put(QUEUE, job(add("kiosk", SECOND), "good"))
        await until(lambda: answered(world, SECOND))
    answer = await read_answer(Answer, world.data, PROJECT, FIRST)
    assert answer is not None
    assert (answer.outcome, answer.rule) == ("refused", rule)
    assert reason in answer.reason
    assert answer.hint


async def test_a_request_without_a_place_to_answer_to_or_of_no_project_stops_nothing(world: World) -> None:
    async with serving(world) as until:
        await world.queue.put(QUEUE, job({"answer": "nonsense"}, "bad"))
        await world.queue.put(QUEUE, job(add("door", SECOND), "elsewhere", project="../secret"))
        await world.queue.put(QUEUE, job(add("kiosk", THIRD), "good"))
        await until(lambda: answered(world, THIRD))
    assert list(world.data._objects) == [keys.answer(PROJECT, THIRD)]
    assert keys.device("door") not in world.resources._objects


async def test_what_a_request_holds_is_not_repeated_in_its_refusal(world: World) -> None:
    user = {"name": "UPPER", "email_sha256": "0" * 64, "password_hash": "hunter2"}
    told = {"what": {"ask": "add-user", "user": user}, "by": "ada", "answer": FIRST}
    await world.requests.answer(job(told, "a"))
    answer = await read_answer(Answer, world.data, PROJECT, FIRST)
    assert answer is not None
    assert answer.rule == "request.unreadable"
    assert "hunter2" not in answer.model_dump_json()


async def test_a_request_that_comes_twice_is_done_once(world: World) -> None:
    async with serving(world) as until:
        await world.queue.put(QUEUE, job(add("kiosk", FIRST), "a"))
        await world.queue.put(QUEUE, job(add("kiosk", FIRST), "a"))
        await world.queue.put(QUEUE, job(add("door", SECOND), "b"))
        await until(lambda: answered(world, SECOND))
    assert await read_answer(Answer, world.data, PROJECT, FIRST) == Answer(outcome="done")
    assert [event.name for event in world.events(AccessGiven)] == ["kiosk", "door"]
    assert len(world.said) == 2


async def test_while_the_store_is_away_a_request_waits_and_says_so(world: World) -> None:
    world.data.away = "it went away"
    async with serving(world) as until:
        await world.queue.put(QUEUE, job(add("kiosk", FIRST), "a"))
        await until(lambda: "store or broker" in world.health.report()["waiting"])
        world.data.away = None
        await until(lambda: answered(world, FIRST))
    assert world.health.is_ready


async def test_a_handler_is_asked_again_after_unavailable(world: World) -> None:
    asked: list[str] = []

    async def promote(project: str, request: ModelRequest) -> Answer:
        asked.append(request.by)
        if len(asked) == 1:
            raise Unavailable("broker", "it went away")
        return Answer(outcome="done", model="m", number=3)

    world.requests = type(world.requests)(
        world.queue, world.data, {Promote: promote}, world.granting.on_request, world.health
    )
    async with serving(world) as until:
        request = ModelRequest(what=Promote(model="m"), by="ada", answer=FIRST)
        await world.queue.put(QUEUE, job(request.model_dump(mode="json"), "a"))
        await until(lambda: answered(world, FIRST))
    assert asked == ["ada", "ada"]
    answer = await read_answer(Answer, world.data, PROJECT, FIRST)
    assert answer == Answer(outcome="done", model="m", number=3)


async def test_500_devices_that_ask_at_once_are_all_served_and_a_bad_record_stops_nobody(world: World) -> None:
    await world.publish("m1")
    names = [f"d{number:03d}" for number in range(500)]
    for name in names:
        record = device(name, IDENTITY)
        await world.resources.put(keys.device(name), record.model_dump_json().encode())
    await world.resources.put(keys.device("broken"), b'{"name": "broken"}')
    async with serving(world) as until:
        for name in ["broken", *names[:250], "nobody", *names[250:]]:
            request = GrantRequest(model="m1", device=name).model_dump(mode="json")
            await world.queue.put(GRANTS_QUEUE, job(request, name))
        await world.queue.put(GRANTS_QUEUE, job({"model": 7}, "bad"))
        await until(lambda: len(world.said) == 500 and not world.queue._held)
    granted = {key for key in world.resources._objects if "/grants/" in key}
    assert granted == {keys.grant(PROJECT, "m1", name) for name in names}
    assert len(world.events(GrantMade)) == 500
    assert (await world.open("m1", IDENTITY, await world.granted("m1", "d499"))).artifacts


async def test_a_grant_that_is_asked_for_twice_at_once_is_made_once(world: World) -> None:
    await world.publish("m1")
    await world.ask(AddDevice(device=device("kiosk", IDENTITY)))
    await asyncio.gather(*(world.ask_for_grant("m1", "kiosk") for _ in range(5)))
    assert len(world.events(GrantMade)) == 1
