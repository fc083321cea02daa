"""People are added and revoked by requests; only hashes of what they know ever arrive."""

from __future__ import annotations

from labelstream import keys
from labelstream.access import User, address_sha256
from labelstream.events.access import AccessEvent, AccessGiven, AccessRevoked
from labelstream.model_requests import AddUser, Answer, RevokeUser

from .world import World, everything

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaA"
ADA = User(name="ada", email_sha256=address_sha256("Ada@example.org "), password_hash=HASH)


async def record(world: World, name: str = "ada") -> User:
    return User.model_validate_json((await world.resources.get(keys.user(name))).data)


async def test_an_added_person_is_recorded_and_the_audit_log_says_so(world: World) -> None:
    assert await world.ask(AddUser(user=ADA), by="root") == Answer(outcome="done")
    kept = await record(world)
    assert (kept.password_hash, kept.added_by) == (HASH, "root")
    assert world.events(AccessEvent) == [AccessGiven(kind="user", name="ada", by="root")]


async def test_an_address_means_the_same_in_capitals_and_with_blanks_around() -> None:
    assert address_sha256(" ADA@example.org") == ADA.email_sha256


async def test_two_people_never_share_an_address_unless_one_was_revoked(world: World) -> None:
    await world.ask(AddUser(user=ADA))
    eve = ADA.model_copy(update={"name": "eve"})
    assert (await world.ask(AddUser(user=eve))).reason == "eve would have the same address as ada"
    await world.ask(RevokeUser(name="ada"), why="she left")
    assert (await world.ask(AddUser(user=eve))).outcome == "done"


async def test_another_password_needs_replace_and_counts_from_now_on(world: World) -> None:
    await world.ask(AddUser(user=ADA))
    added_ms = (await record(world)).added_ms
    other = ADA.model_copy(update={"password_hash": HASH.replace("aGFzaA", "b3RoZXI")})
    assert (await world.ask(AddUser(user=other))).rule == "user.exists"
    assert (await world.ask(AddUser(user=other, replace=True))).outcome == "done"
    kept = await record(world)
    assert kept.password_hash == other.password_hash
    assert kept.added_ms >= added_ms


async def test_a_revoked_person_stays_on_record_with_the_reason(world: World) -> None:
    await world.ask(AddUser(user=ADA))
    await world.ask(RevokeUser(name="ada"), by="root", why="she left")
    ended = (await record(world)).revoked
    assert ended is not None
    assert (ended.by, ended.why) == ("root", "she left")
    assert world.events(AccessRevoked) == [AccessRevoked(kind="user", name="ada", by="root", why="she left")]


async def test_what_is_no_hash_is_refused_and_never_repeated(world: World) -> None:
    careless = ADA.model_copy(update={"password_hash": "hunter2"})
    answer = await world.ask(AddUser(user=careless))
    assert answer.rule == "user.bad_hash"
    assert "hunter2" not in answer.model_dump_json()
    assert not everything(world.resources)
