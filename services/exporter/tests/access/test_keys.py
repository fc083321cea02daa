"""API keys are added and revoked by requests; only hashes of their secrets ever arrive."""

from __future__ import annotations

import time
from dataclasses import replace

from exporter.access.keys import AddingKey, keys_of
from labelstream import keys
from labelstream.access import ApiKey, KeyToken
from labelstream.events.access import AccessEvent, AccessGiven, AccessRevoked
from labelstream.model_requests import AddKey, Answer, RevokeKey

from .world import World

TOKEN = KeyToken.new()
LINE = ApiKey(name="line-3", id=TOKEN.id, secret_sha256=TOKEN.secret_sha256, projects=("harbour",), per_minute=60)
LONG_AGO_MS = 1_000


def another(name: str = "line-3", **more: object) -> ApiKey:
    token = KeyToken.new()
    return ApiKey.model_validate({"name": name, "id": token.id, "secret_sha256": token.secret_sha256, **more})


async def record(world: World, name: str = "line-3") -> ApiKey:
    return ApiKey.model_validate_json((await world.resources.get(keys.api_key(name))).data)


async def test_an_added_key_is_recorded_as_it_was_asked_for_and_the_audit_log_says_so(world: World) -> None:
    assert await world.ask(AddKey(key=LINE), by="root", why="the pilot") == Answer(outcome="done")
    kept = await record(world)
    assert kept.model_copy(update={"added_ms": 0, "added_by": ""}) == LINE
    assert kept.added_by == "root"
    assert world.events(AccessEvent) == [AccessGiven(kind="key", name="line-3", by="root", why="the pilot")]
    assert (await world.ask(AddKey(key=LINE))).outcome == "known"


async def test_the_name_of_a_live_key_is_taken_unless_it_is_replaced(world: World) -> None:
    await world.ask(AddKey(key=LINE))
    refused = await world.ask(AddKey(key=another()))
    assert (refused.rule, refused.reason) == ("key.exists", "there is a key line-3 already")
    assert (await record(world)).id == LINE.id
    other = another()
    assert (await world.ask(AddKey(key=other, replace=True))).outcome == "done"
    assert (await record(world)).id == other.id


async def test_the_name_of_a_revoked_or_an_expired_key_is_free(world: World) -> None:
    await world.ask(AddKey(key=LINE))
    await world.ask(RevokeKey(name="line-3"), why="it was published")
    assert (await world.ask(AddKey(key=another(expires_ms=LONG_AGO_MS)))).outcome == "done"
    live = another()
    assert (await world.ask(AddKey(key=live))).outcome == "done"
    kept = await record(world)
    assert (kept.id, kept.revoked, kept.is_live(int(time.time() * 1000))) == (live.id, None, True)


async def test_a_revoked_key_stays_on_record_with_who_and_why(world: World) -> None:
    await world.ask(AddKey(key=LINE))
    assert (await world.ask(RevokeKey(name="line-3"))).rule == "key.no_reason"
    await world.ask(RevokeKey(name="line-3"), by="eve", why="it was published")
    ended = (await record(world)).revoked
    assert ended is not None
    assert (ended.by, ended.why) == ("eve", "it was published")
    assert world.events(AccessRevoked) == [AccessRevoked(kind="key", name="line-3", by="eve", why="it was published")]
    assert (await world.ask(RevokeKey(name="line-3"), why="again")).outcome == "known"
    assert (await world.ask(RevokeKey(name="line-9"), why="lost")).rule == "key.unknown"


async def test_there_is_a_bound_to_live_keys_that_ended_and_replaced_ones_do_not_count_for(world: World) -> None:
    adding = AddingKey(keys_of(world.resources, world.health, world.say), most_live=2)
    world.requests = replace(world.requests, handlers={AddKey: adding})

    async def ask(key: ApiKey, *, replace: bool = False) -> Answer:
        return await world.ask(AddKey(key=key, replace=replace))

    assert (await ask(another("k1"))).outcome == "done"
    assert (await ask(another("k2", expires_ms=LONG_AGO_MS))).outcome == "done"
    assert (await ask(another("k3"))).outcome == "done"
    assert (await ask(another("k4"))).rule == "key.too_many"
    assert (await ask(another("k3"), replace=True)).outcome == "done"
