"""What stands before every route: rates, sizes, times, and where a request comes from."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr, ValidationError

from exporter.delivery.addresses import Addresses
from exporter.delivery.settings import ApiGroup
from labelstream.errors import Misconfigured

from .world import EMAIL, PASSWORD, TOKEN, bearing, device, until

ME = bearing(TOKEN)
LIST = "/v1/projects/default/models"


async def test_an_address_may_ask_only_so_often(world, start):
    await world.add(device())
    client = await start(address_rate="3/day")
    answers = [await client.get(LIST, headers=ME) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
    assert (answers[-1].json()["title"], int(answers[-1].headers["Retry-After"]) >= 1) == ("too-many-requests", True)
    await until(lambda: sum(entry.times for entry in world.audited()) == 2)
    assert (await client.get("/healthz")).status_code == 200


async def test_a_caller_may_ask_only_so_often_from_wherever(world, start):
    await world.add(device(), device("other", "its own token"))
    client = await start(caller_rate="3/day")
    assert [(await client.get(LIST, headers=ME)).status_code for _ in range(4)] == [200] * 3 + [429]
    assert (await client.get(LIST, headers=bearing("its own token"))).status_code == 200


async def test_an_address_may_try_only_so_many_passwords(world, start):
    client = await start(login_rate="2/day")
    guess = {"email": EMAIL, "password": PASSWORD}
    assert [(await client.post("/login", json=guess)).status_code for _ in range(3)] == [401, 401, 429]


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_refused(client, announced):
    body = b'{"email": "' + b"a" * 100_000 + b'"}'

    async def pieces():
        for at in range(0, len(body), 1000):
            yield body[at : at + 1000]

    for path in ("/login", "/v1/login", "/resources/get/models"):
        answer = await client.post(
            path, content=body if announced else pieces(), headers={"Content-Type": "application/json"}
        )
        wanted = 401 if path.startswith("/resources") and not announced else 413  # who may not ask is told so first
        assert answer.status_code == wanted, path


async def test_a_body_that_never_ends_is_given_up(world, start):
    client = await start(body_timeout_s=0.05)

    async def pieces():
        yield b'{"email": "a'
        await asyncio.Event().wait()

    for path in ("/login", "/v1/login"):
        answer = await client.post(path, content=pieces(), headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["title"]) == (408, "too-slow")


async def test_requests_are_counted_by_route_and_never_by_what_was_asked(client):
    def counted(route: str, status: str) -> float:
        labels = {"route": route, "method": "GET", "status": status}
        return REGISTRY.get_sample_value("labelstream_api_requests_total", labels) or 0.0

    route = "/v1/projects/{project}/models/{model}"
    before = counted(route, "200"), counted(route, "404"), counted("none", "404")
    await client.get(f"{LIST}/m1", headers=ME)
    await client.get(f"{LIST}/a-secret-name", headers=ME)
    await client.get("/a-secret-path", headers=ME)
    assert (counted(route, "200"), counted(route, "404"), counted("none", "404")) == tuple(n + 1 for n in before)
    assert "a-secret" not in (told := (await client.get("/metrics")).text)
    assert f'labelstream_api_seconds_count{{route="{route}"}}' in told


def addresses(trusted_proxies: int = 0, key: str = "a key for addresses") -> Addresses:
    return Addresses(SecretStr(key), trusted_proxies)


def scope(peer: str, *forwarded: str) -> dict[str, object]:
    return {"type": "http", "client": (peer, 1), "headers": [(b"x-forwarded-for", f.encode()) for f in forwarded]}


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, ["203.0.113.9"], "192.0.2.1"),
        (1, ["203.0.113.9"], "203.0.113.9"),
        (1, ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (1, ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (2, ["198.51.100.1, 203.0.113.9, 10.0.0.1"], "203.0.113.9"),
        (2, ["203.0.113.9"], "192.0.2.1"),
        (1, [], "192.0.2.1"),
        (1, ["no address"], "unknown"),
    ],
)
def test_only_what_our_own_proxies_say_of_an_address_counts(proxies, forwarded, address):
    assert addresses(proxies).of(scope("192.0.2.1", *forwarded)) == address


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("testclient", "unknown"),
    ],
)
def test_an_address_of_ipv6_is_that_of_its_network(peer, address):
    assert addresses().of(scope(peer)) == address


def test_the_audit_log_has_a_keyed_hash_of_an_address():
    hashed = addresses().hashed("192.0.2.1")
    assert hashed == addresses().hashed("192.0.2.1")
    assert hashed != addresses(key="another key for them").hashed("192.0.2.1")
    assert "192" not in hashed[:3]
    with pytest.raises(Misconfigured, match="16 letters"):
        addresses(key="short")


@pytest.mark.parametrize("wrong", [{"login_rate": "often"}, {"jwt_keys": ()}, {"replica": "a b"}])
def test_settings_that_make_no_sense_are_refused(world, wrong):
    with pytest.raises(ValidationError):
        ApiGroup.model_validate({**world.settings.model_dump(), **wrong})


async def test_a_fault_of_ours_is_a_problem_that_says_nothing_of_it(world, start, monkeypatch):
    client = await start()

    async def broken(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr("exporter.delivery.desk.Desk.log_in", broken)
    transport = httpx.ASGITransport(client._transport.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        answer = await http.post("/login", json={"email": EMAIL, "password": PASSWORD})
    assert (answer.status_code, answer.json()["title"]) == (500, "server-fault")
    assert "a secret" not in answer.text
