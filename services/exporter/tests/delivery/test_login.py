"""Logging in: who may, and how long who guesses must wait."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from exporter.delivery.lockout import MOST, Lockout
from exporter.delivery.passwords import Passwords
from exporter.delivery.tokens import TokenKeys, Tokens
from labelstream.errors import Unavailable

from .world import CHEAP, EMAIL, PASSWORD, bearing, ended, sha, until, user

RIGHT = {"email": EMAIL, "password": PASSWORD}
WRONG = {"email": EMAIL, "password": "a guess"}
LIST = "/v1/projects/default/models"


async def test_who_has_the_password_gets_a_token_that_opens_lists(client):
    answer = await client.post("/v1/login", json={"email": " ADA@example.org ", "password": PASSWORD})
    assert answer.status_code == 200
    said = answer.json()
    assert (said["token_type"], said["expires_in"]) == ("Bearer", 900)
    assert (await client.get(LIST, headers=bearing(said["token"]))).status_code == 200


async def test_a_wrong_password_and_an_unknown_person_are_answered_alike(world, client):
    wrong = await client.post("/v1/login", json=WRONG)
    unknown = await client.post("/v1/login", json={"email": "nobody@example.org", "password": PASSWORD})
    assert (wrong.status_code, wrong.json()["title"]) == (401, "password-wrong")
    assert (unknown.status_code, unknown.content) == (wrong.status_code, wrong.content)
    entries = await world.until_audited(2)
    assert {(entry.kind, entry.name, entry.rule) for entry in entries} == {
        ("user", "ada", "password-wrong"),
        ("unknown", "", "password-wrong"),
    }


async def test_an_unknown_person_costs_a_comparison_too(monkeypatch):
    passwords = Passwords()
    compared = []
    verify = passwords._hasher.verify
    monkeypatch.setattr(passwords, "_hasher", Spying(verify, compared))
    assert await passwords.right(None, "guess") is False
    assert await passwords.right(CHEAP.hash("right"), "right") is True
    assert await passwords.right("no hash at all", "right") is False
    assert compared[0].startswith("$argon2id$v=19$m=65536,t=3,p=4$")  # what a person's own would cost
    passwords.close()


class Spying:
    """Compares, and remembers with what."""

    def __init__(self, verify, compared):
        self._verify, self._compared = verify, compared

    def verify(self, hashed, password):
        self._compared.append(hashed)
        return self._verify(hashed, password)


async def test_after_some_wrong_passwords_the_right_one_must_wait_too(world, client):
    for _ in range(5):
        assert (await client.post("/v1/login", json=WRONG)).status_code == 401
    answer = await client.post("/v1/login", json=RIGHT)
    assert (answer.status_code, answer.json()["title"]) == (429, "locked-out")
    assert 1 <= int(answer.headers["Retry-After"]) <= 5
    await until(lambda: "locked-out" in {entry.rule for entry in world.audited()})
    (entry,) = (entry for entry in world.audited() if entry.rule == "locked-out")
    assert (entry.kind, entry.name, entry.times) == ("user", "ada", 1)


async def test_many_wrong_passwords_at_once_get_no_further(client):
    answers = await asyncio.gather(*(client.post("/v1/login", json=WRONG) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 15


async def test_an_unknown_person_is_locked_out_likewise(client):
    guess = {"email": "nobody@example.org", "password": "a guess"}
    codes = [(await client.post("/v1/login", json=guess)).status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]


async def test_an_address_that_guesses_at_many_people_is_locked_out(world, start):
    await world.add(user())
    client = await start(address_failures=3)
    for number in range(3):
        guess = {"email": f"person{number}@example.org", "password": "a guess"}
        assert (await client.post("/v1/login", json=guess)).status_code == 401
    assert (await client.post("/v1/login", json=RIGHT)).json()["title"] == "locked-out"


async def test_a_right_password_is_not_counted(world, start):
    await world.add(user())
    client = await start(login_failures=2, address_failures=2)
    for _ in range(4):
        assert (await client.post("/v1/login", json=RIGHT)).status_code == 200


async def test_who_is_revoked_is_told_so_only_with_the_right_password(world, client):
    await world.add(user(revoked=ended()))
    assert (await client.post("/v1/login", json=WRONG)).json()["title"] == "password-wrong"
    answer = await client.post("/v1/login", json=RIGHT)
    assert (answer.status_code, answer.json()["title"]) == (403, "user-revoked")


async def test_a_token_ends_with_the_access_and_with_the_password(world, client):
    token = (await client.post("/v1/login", json=RIGHT)).json()["token"]
    await world.add(user(revoked=ended()))
    assert (await client.get(LIST, headers=bearing(token))).json()["title"] == "user-revoked"
    await world.add(user(password="another", added_ms=int(time.time() * 1000) + 5000))
    assert (await client.get(LIST, headers=bearing(token))).json()["title"] == "token-bad"


async def test_a_token_ends_with_the_password_however_clocks_differ(world, client):
    """Who knows the old password may log in until the new record is read; what they got then must not outlast it."""
    await world.add(user(added_ms=1))
    token = (await client.post("/v1/login", json=RIGHT)).json()["token"]
    assert (await client.get(LIST, headers=bearing(token))).status_code == 200
    await world.add(user(password="another", added_ms=2))  # long before the token was given, by this clock
    assert (await client.get(LIST, headers=bearing(token))).json()["title"] == "token-bad"


async def test_a_password_that_is_no_text_is_wrong(client):
    half = json.dumps({**RIGHT, "password": "\ud800"})  # of a surrogate
    answer = await client.post("/v1/login", content=half, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["title"]) == (401, "password-wrong")


async def test_a_token_that_has_expired_is_refused(world, client):
    own = world.settings
    tokens = Tokens(TokenKeys.read(own.jwt_keys), own.issuer, own.audience, 60)
    answer = await client.get(LIST, headers=bearing(tokens.issue("ada", now_s=time.time() - 120)))
    assert (answer.status_code, answer.json()["title"]) == (401, "token-bad")
    assert "expired" in answer.json()["detail"]


async def test_when_too_many_wait_the_next_is_told_so_and_not_counted(world, client, monkeypatch):
    monkeypatch.setattr("exporter.delivery.passwords.MOST_WAITING", 0)
    for _ in range(8):
        assert (await client.post("/v1/login", json=RIGHT)).status_code == 503
    monkeypatch.undo()
    assert (await client.post("/v1/login", json=RIGHT)).status_code == 200


async def test_too_many_passwords_wait():
    passwords = Passwords()
    passwords._waiting = 10_000
    with pytest.raises(Unavailable):
        await passwords.right(None, "guess")


@pytest.mark.parametrize("body", [{}, {"email": EMAIL}, {"email": EMAIL, "password": "p" * 2000}], ids=len)
async def test_a_body_that_is_wrong_is_a_problem_that_quotes_nothing(client, body):
    answer = await client.post("/v1/login", json=body)
    assert (answer.status_code, answer.json()["title"]) == (422, "parameter-invalid")
    assert "ppp" not in answer.text
    assert EMAIL not in answer.text


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_further_wrong_password_doubles_the_lock_up_to_its_limit():
    clock = Clock()
    lockout = Lockout(3, 5, 900, clock)
    locks = []
    for _ in range(13):
        assert lockout.begin("ada") == 0
        if lockout.is_locked("ada"):
            locks.append(lockout.begin("ada"))
            clock.now += locks[-1]
    assert locks == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]


def test_wrong_passwords_are_forgotten_in_time():
    clock = Clock()
    lockout = Lockout(3, 5, 900, clock)
    for _ in range(3):
        lockout.begin("ada")
    clock.now = 901
    for _ in range(2):
        assert lockout.begin("ada") == 0
        assert not lockout.is_locked("ada")


def test_of_too_many_names_those_that_are_locked_are_remembered():
    clock = Clock()
    lockout = Lockout(3, 5, 900, clock)
    for _ in range(3):
        lockout.begin(sha("ada"))
    for number in range(2 * MOST):
        lockout.begin(f"nobody {number}")
    assert lockout.is_locked(sha("ada"))
    assert len(lockout._tries) <= MOST
