"""The documented Azaion forms: logging in, uploading, and fetching under a key bound to the hardware."""

from __future__ import annotations

import asyncio
import base64
import hashlib

import jwt
import pytest

from exporter.delivery.hardware import hardware_key, hardware_string
from exporter.delivery.problems import Problem, Who
from exporter.delivery.sending import IN_ALL, FileResponse, Places
from labelstream.protection.legacy import open_legacy

from .world import EMAIL, PASSWORD, TOKEN, bearing, user

PARTS = {"cpu": "Ryzen 7", "gpu": "RTX 4070", "memory": "32 GB", "driveSerial": "S6P1"}
HARDWARE = "Ryzen 7;RTX 4070;32 GB;S6P1"
CONTENT = b"a dictionary of some kind" * 100
PLAIN_FORM = {"file": ("words.txt", CONTENT)}


async def logged_in(client, email: str = EMAIL, password: str = PASSWORD) -> dict[str, str]:
    answer = await client.post("/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return bearing(answer.json()["token"])


@pytest.fixture
async def me(world, client) -> dict[str, str]:
    """A person who may upload, and has logged in."""
    await world.add(user(may_upload=True))
    return await logged_in(client)


def wish(**changes: object) -> dict[str, object]:
    return {"password": PASSWORD, "hardware": PARTS, "fileName": "words.txt", **changes}


def test_the_hardware_key_is_what_the_page_says():
    joined = b"ada@example.org-a password of hers-Ryzen 7;RTX 4070;32 GB;S6P1"
    assert hardware_key(EMAIL, PASSWORD, HARDWARE) == base64.b64encode(hashlib.sha384(joined).digest()).decode()


def test_the_hardware_key_of_a_known_person_is_known():
    """Taken once from `printf %s 'a@b.c-secret-CPU;GPU;RAM;DRIVE' | openssl dgst -sha384 -binary | base64 -w0`."""
    assert hardware_key("a@b.c", "secret", "CPU;GPU;RAM;DRIVE") == KNOWN


KNOWN = "DhiP94x49egyvmcEnp/58BnH6oLclHtRCx+kLaa7gGjUGC0biet93BeK8iukoRhW"


@pytest.mark.parametrize(
    ("told", "string"),
    [
        (PARTS, HARDWARE),
        ({"CPU": "Ryzen 7", "GPU": "RTX 4070", "RAM": "32 GB", "Drive_Serial": "S6P1"}, HARDWARE),
        ({"Cpu": "Ryzen 7", "serial": 17}, "Ryzen 7;;;17"),
        ("one string", "one string"),
        ({}, None),
        ({"colour": "red"}, None),
        ("", None),
        (None, None),
        (5, None),
    ],
    ids=str,
)
def test_hardware_is_told_in_parts_or_in_one_string(told, string):
    assert hardware_string(told) == string


@pytest.mark.parametrize("casing", [str.lower, str.upper, str.title], ids=lambda casing: casing.__name__)
async def test_who_logs_in_gets_a_token_whatever_the_case_of_the_fields(client, casing):
    answer = await client.post("/login", json={casing("email"): EMAIL, casing("password"): PASSWORD})
    assert (answer.status_code, list(answer.json())) == (200, ["token"])
    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["email"]) == ("ada", EMAIL)


async def test_the_token_of_our_own_login_holds_no_address(client):
    answer = await client.post("/v1/login", json={"email": EMAIL, "password": PASSWORD})
    assert "email" not in jwt.decode(answer.json()["token"], options={"verify_signature": False})


HALVES = [b'{"email": "\\ud800", "password": "x"}', b'{"email": "a@b.c", "password": "\\ud800"}']  # of a surrogate


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"email": 5}', b"[" * 60_000, *HALVES], ids=len)
async def test_a_login_that_can_not_be_read_is_a_problem(client, body):
    answer = await client.post("/login", content=body)
    assert (answer.status_code, answer.json()["title"]) == (400, "request-malformed")


async def test_an_upload_is_fetched_under_the_hardware_key(world, client, me):
    stored = await client.post("/resources/words", headers=me, files=PLAIN_FORM)
    assert stored.json() == {
        "folder": "words",
        "file": "words.txt",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "size_bytes": len(CONTENT),
    }
    fetched = await client.post("/resources/get/words", headers=me, json=wish())
    assert fetched.status_code == 200
    assert open_legacy(fetched.content, hardware_key(EMAIL, PASSWORD, HARDWARE)) == CONTENT
    assert [(entry.type, entry.name, entry.resource) for entry in world.audited()] == [
        ("resource.stored", "ada", "words/words.txt"),
        ("resource.fetched", "ada", "words/words.txt"),
    ]


async def test_the_last_upload_of_a_name_wins(client, me):
    await client.post("/resources/words", headers=me, files=PLAIN_FORM)
    await client.post("/resources/words", headers=me, files={"data": ("words.txt", b"shorter")})
    fetched = await client.post("/resources/get/words", headers=me, json=wish())
    assert open_legacy(fetched.content, hardware_key(EMAIL, PASSWORD, HARDWARE)) == b"shorter"


async def test_field_names_come_in_any_case(client, me):
    await client.post("/resources/words", headers=me, files=PLAIN_FORM)
    body = {"Password": PASSWORD, "Hardware": "one string", "FileName": "words.txt"}
    fetched = await client.post("/resources/get/words", headers=me, json=body)
    assert open_legacy(fetched.content, hardware_key(EMAIL, PASSWORD, "one string")) == CONTENT


async def test_our_own_login_fetches_too_when_it_sends_the_address(client, me):
    await client.post("/resources/words", headers=me, files=PLAIN_FORM)
    own = (await client.post("/v1/login", json={"email": EMAIL, "password": PASSWORD})).json()["token"]
    answer = await client.post("/resources/get/words", headers=bearing(own), json=wish())
    assert (answer.status_code, answer.json()["title"]) == (400, "email-missing")
    answer = await client.post("/resources/get/words", headers=bearing(own), json=wish(email=EMAIL))
    assert open_legacy(answer.content, hardware_key(EMAIL, PASSWORD, HARDWARE)) == CONTENT
    answer = await client.post("/resources/get/words", headers=bearing(own), json=wish(email="bob@example.org"))
    assert (answer.status_code, answer.json()["title"]) == (403, "email-foreign")


async def test_a_wrong_password_fetches_nothing_and_is_locked_out(client, me):
    await client.post("/resources/words", headers=me, files=PLAIN_FORM)
    answers = [await client.post("/resources/get/words", headers=me, json=wish(password="a guess")) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]


@pytest.mark.parametrize(
    ("body", "status", "rule"),
    [
        (wish(fileName="other.txt"), 404, "resource-unknown"),
        (wish(fileName="../words.txt"), 422, "file-name"),
        (wish(fileName=""), 400, "request-malformed"),
        (wish(hardware={}), 400, "request-malformed"),
        (wish(password=None), 400, "request-malformed"),
    ],
    ids=["unknown", "path", "no name", "no hardware", "no password"],
)
async def test_a_wrong_wish_is_a_problem(client, me, body, status, rule):
    answer = await client.post("/resources/get/words", headers=me, json=body)
    assert (answer.status_code, answer.json()["title"]) == (status, rule)


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/b", "..", ".hidden", "", "a" * 101, "a\\b", "ä"], ids=repr
)
async def test_a_name_that_is_no_file_name_is_refused(world, client, me, name):
    answer = await client.post("/resources/words", headers=me, files={"file": (name, b"x")})
    assert answer.status_code in (400, 422)  # a form without a name has no file
    assert [info async for info in world.uploads.list("")] == []


@pytest.mark.parametrize("folder", ["..", "%2e%2e", "get", "GET", "a%2Fb", "a b", ".hidden"])
async def test_a_folder_that_is_none_is_refused(world, client, me, folder):
    answer = await client.post(f"/resources/{folder}", headers=me, files=PLAIN_FORM)
    assert answer.status_code in (404, 405, 422)
    assert [info async for info in world.uploads.list("")] == []


async def test_who_may_not_upload_is_told_so_before_the_file_is_read(world, client):
    me = await logged_in(client)

    async def never():
        raise AssertionError("it was read")
        yield b""

    answer = await client.post("/resources/words", headers=me, content=never())
    assert (answer.status_code, answer.json()["title"]) == (403, "upload-not-allowed")
    answer = await client.post("/resources/words", headers=bearing(TOKEN), content=never())
    assert (answer.status_code, answer.json()["title"]) == (403, "users-only")


@pytest.mark.parametrize("size", [1001, 200_000])
async def test_an_upload_that_is_too_large_is_refused(world, start, size):
    await world.add(user(may_upload=True))
    client = await start(max_upload_bytes=1000)
    me = await logged_in(client)
    answer = await client.post("/resources/words", headers=me, files={"file": ("words.txt", b"x" * size)})
    assert (answer.status_code, answer.json()["title"]) == (413, "too-large")
    answer = await client.post("/resources/words", headers=me, files={"file": ("words.txt", b"x" * 1000)})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "form",
    [{"json": {}}, {"files": {"one": ("a", b"x"), "two": ("b", b"y")}}, {"files": {"only": (None, b"text")}}],
    ids=["no form", "two files", "no file"],
)
async def test_a_form_without_its_one_file_is_refused(client, me, form):
    answer = await client.post("/resources/words", headers=me, **form)
    assert (answer.status_code, answer.json()["title"]) == (400, "upload-malformed")


async def test_who_does_not_read_what_they_asked_for_holds_up_nobody_else(world, client, me, monkeypatch):
    await world.add(user("bob", "bob@example.org", "his"))
    await client.post("/resources/words", headers=me, files=PLAIN_FORM)
    held, call = asyncio.Event(), FileResponse.__call__

    async def unread(self, scope, receive, send):
        await held.wait()
        await call(self, scope, receive, send)

    monkeypatch.setattr(FileResponse, "__call__", unread)
    waiting = [asyncio.create_task(client.post("/resources/get/words", headers=me, json=wish())) for _ in range(3)]
    (third,), _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert (third.result().status_code, third.result().json()["title"]) == (429, "too-many-requests")
    held.set()
    bob = await logged_in(client, "bob@example.org", "his")
    assert (await client.post("/resources/get/words", headers=bob, json=wish(password="his"))).status_code == 200
    assert sorted(answer.status_code for answer in await asyncio.gather(*waiting)) == [200, 200, 429]
    assert (await client.post("/resources/get/words", headers=me, json=wish())).status_code == 200


async def test_who_stops_reading_is_cut_off():
    left = []

    async def send(message):
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    await FileResponse(b"x" * 100, lambda: left.append(True), 0.01)({}, None, send)
    assert left == [True]


def test_only_so_many_files_are_on_their_way():
    places = Places()
    leaves = [places.take(Who("user", f"person {number}")) for number in range(IN_ALL)]
    with pytest.raises(Problem, match="on their way already"):
        places.take(Who("user", "one more"))
    leaves[0]()
    places.take(Who("user", "one more"))


async def test_an_upload_is_not_confirmed_while_the_audit_log_is_away(world, client, me):
    world.broker.away = True
    answer = await client.post("/resources/words", headers=me, files=PLAIN_FORM)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert [info async for info in world.uploads.list("")] == []  # nor is it stored: nothing lies there unsaid


async def test_a_folder_may_begin_with_get(client, me):
    large = {"file": ("words.txt", b"x" * 200_000)}
    assert (await client.post("/resources/getaway", headers=me, files=large)).status_code == 200
