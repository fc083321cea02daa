"""Neither logs, nor metrics, nor the audit log, nor an answer ever hold what is secret or personal."""

from __future__ import annotations

import logging

import httpx
from prometheus_client import generate_latest

from labelstream import keys
from labelstream.events.base import ACCESS_EVENTS

from .world import EMAIL, PASSWORD, TOKEN, bearing, user

LIST = "/v1/projects/default/models"
GUESS = "a guess that is wrong"
ADDRESS = "192.0.2.1"
HARDWARE = "the serial number of her drive"


async def test_a_whole_session_leaves_no_secret_behind(world, client, capfd, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    await world.add(user(may_upload=True))
    await world.resources.put(keys.grant("default", "m2", "kiosk"), b"sealed to kiosk")
    own = (await client.post("/v1/login", json={"email": EMAIL, "password": PASSWORD})).json()["token"]
    theirs = (await client.post("/login", json={"email": EMAIL, "password": PASSWORD})).json()["token"]
    wish = {"password": PASSWORD, "hardware": HARDWARE, "fileName": "words.txt"}
    answers = [
        await client.get(f"{LIST}/m2/grant", headers=bearing(TOKEN)),
        await client.get(LIST, headers=bearing(own)),
        await client.get(f"{LIST}/{TOKEN}", headers=bearing(own)),
        await client.get(LIST, headers=bearing(GUESS)),
        await client.get(LIST, headers=bearing(f"{own[:-9]}forged789")),
        await client.post("/v1/login", json={"email": EMAIL, "password": GUESS}),
        await client.post("/v1/login", json={"email": EMAIL, "password": [PASSWORD]}),
        await client.post("/login", json={"email": [EMAIL], "password": PASSWORD}),
        await client.post("/resources/words", headers=bearing(theirs), files={"file": ("words.txt", b"words")}),
        await client.post("/resources/get/words", headers=bearing(theirs), json=wish),
        await client.post("/resources/get/words", headers=bearing(theirs), json={**wish, "password": GUESS}),
    ]
    broken = await broken_login(client, monkeypatch)
    await world.until_audited(5)

    secrets = [TOKEN, PASSWORD, GUESS, own, theirs, own.split(".")[2], EMAIL, HARDWARE, ADDRESS, "a key for addresses"]
    secrets += [line for path in world.settings.jwt_keys for line in path.read_text().splitlines() if "---" not in line]
    written = capfd.readouterr()
    places = {
        "standard output": written.out,
        "standard error": written.err,
        "the log": caplog.text,
        "metrics": generate_latest().decode(),
        "health": (await client.get("/readyz")).text,
        "the audit log": b"".join(each.raw for each in world.broker.stored(ACCESS_EVENTS) or []).decode(
            errors="replace"
        ),
        "problems": "".join(
            each.text for each in [*answers, broken] if each.status_code >= 400 and TOKEN not in str(each.url.path)
        ),
    }
    assert broken.status_code == 500
    assert [(place, secret) for place, text in places.items() for secret in secrets if secret in text] == []
    assert 'labelstream_logins_total{outcome="wrong"}' in places["metrics"]


async def broken_login(client: httpx.AsyncClient, monkeypatch) -> httpx.Response:
    """Log in while something of ours is broken."""

    async def broken(*_):
        raise RuntimeError("there is no such thread")

    transport = httpx.ASGITransport(client._transport.app, client=(ADDRESS, 1), raise_app_exceptions=False)
    with monkeypatch.context() as patched:
        patched.setattr("exporter.delivery.passwords.Passwords.right", broken)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
            return await http.post("/v1/login", json={"email": EMAIL, "password": PASSWORD})
