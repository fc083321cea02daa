"""The gate: which keys it lets in, and what it tells the others."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.requests import Request

from inference.access.keys import GUESSES_PER_MINUTE, KeyGate
from inference.access.rates import Rates, TooMany
from inference.access.ring import NotYet, Ring
from labelstream.access import KeyFacts, KeyList, KeyToken
from labelstream.errors import Rejected

NOW_MS = 1_790_000_000_000
TOKEN = KeyToken.new()


def facts(token: KeyToken = TOKEN, **more: Any) -> KeyFacts:
    return KeyFacts(id=token.id, secret_sha256=token.secret_sha256, **more)


def gate(*keys: KeyFacts) -> KeyGate:
    still = Rates(lambda: 0.0), Rates(lambda: 0.0)
    return KeyGate(Ring(KeyList(keys=keys)), *still, now_ms=lambda: NOW_MS)


def request(address: str = "192.0.2.1", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw, "client": (address, 4711)})


def showing(token: KeyToken = TOKEN, address: str = "192.0.2.1") -> Request:
    return request(address, authorization=f"Bearer {token.text}")


def refusal(keys: KeyGate, asks: Request, project: str = "default") -> Rejected:
    with pytest.raises(Rejected) as refused:
        keys.admit(asks, project)
    assert TOKEN.secret not in str(refused.value)
    return refused.value


def counted(key: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("labelstream_key_requests_total", {"key": key, "outcome": outcome}) or 0.0


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TOKEN.text}"},
        {"authorization": f"bearer  {TOKEN.text} "},
        {"x_api_key": TOKEN.text},
        {"x_api_key": TOKEN.text, "authorization": "Basic of-a-proxy"},
    ],
    ids=["bearer", "bearer in small letters", "header", "header beside a proxy's"],
)
def test_a_key_that_counts_lets_in_and_its_id_is_noted(headers: dict[str, str]) -> None:
    asks = request(**headers)
    gate(facts()).admit(asks, "default")
    assert asks.state.key_id == TOKEN.id


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Basic abc"}, {"authorization": "Bearer"}, {"x_api_key": " "}],
    ids=["nothing", "another scheme", "no key", "blank"],
)
def test_who_shows_no_key_is_told_how(headers: dict[str, str]) -> None:
    refused = refusal(gate(facts()), request(**headers))
    assert refused.rule == "key.missing"
    assert "Authorization: Bearer lsk_" in refused.hint


@pytest.mark.parametrize(
    "shown",
    [
        KeyToken.new().text,
        f"lsk_{TOKEN.id}_{KeyToken.new().secret}",
        TOKEN.text[:-1],
        TOKEN.text + "A",
        TOKEN.text.upper(),
        f"lsk_{TOKEN.id}_{'é' * 43}",
        "x" * 60_000,
    ],
    ids=["another id", "another secret", "too short", "too long", "capitals", "letters of elsewhere", "very long"],
)
def test_a_key_that_is_none_of_ours_is_unknown_whatever_is_wrong_with_it(shown: str) -> None:
    asks = request(x_api_key=shown)
    assert refusal(gate(facts()), asks).rule == "key.unknown"
    assert not hasattr(asks.state, "key_id")


def test_an_expired_and_a_revoked_key_are_told_so_with_the_time() -> None:
    expired = refusal(gate(facts(expires_ms=NOW_MS)), showing())
    assert (expired.rule, expired.reason) == (
        "key.expired",
        f"the key {TOKEN.id} expired at 2026-09-21 14:13:20 UTC",
    )
    assert refusal(gate(facts(revoked_ms=NOW_MS)), showing()).rule == "key.revoked"
    gate(facts(expires_ms=NOW_MS + 1)).admit(showing(), "default")


def test_only_who_has_the_secret_is_told_that_a_key_was_revoked() -> None:
    guess = request(x_api_key=f"lsk_{TOKEN.id}_{KeyToken.new().secret}")
    assert refusal(gate(facts(revoked_ms=1)), guess).rule == "key.unknown"


def test_a_key_opens_its_projects_and_sees_no_others() -> None:
    keys = gate(facts(projects=("harbour", "yard")))
    keys.admit(showing(), "yard")
    refused = refusal(keys, showing(), "default")
    assert (refused.rule, refused.hint) == (
        "key.not_for_project",
        "It may ask: harbour, yard. Name one with `project`.",
    )
    assert keys.may_see(showing(), ("default", "harbour")) == ("harbour",)
    assert gate(facts()).may_see(showing(), ("default", "harbour")) == ("default", "harbour")


def test_a_key_asks_as_often_as_it_may_and_is_told_when_again() -> None:
    other = KeyToken.new()
    keys = gate(facts(per_minute=3), facts(other, per_minute=3))
    keys.admit(showing(), "default")
    keys.may_see(showing(), ("default",))
    keys.admit(showing(), "default")
    with pytest.raises(TooMany, match=rf"the key {TOKEN.id} asks too often: it may ask 3 times a minute") as refused:
        keys.admit(showing(), "default")
    assert refused.value.retry_after_s == 20
    keys.admit(showing(other), "default")


def test_who_guesses_is_slowed_down_and_a_good_key_passes_from_the_same_address() -> None:
    keys = gate(facts())
    for _ in range(GUESSES_PER_MINUTE):
        assert refusal(keys, showing(KeyToken.new())).rule == "key.unknown"
    with pytest.raises(TooMany, match="this address asks too often"):
        keys.admit(showing(KeyToken.new()), "default")
    keys.admit(showing(), "default")
    assert refusal(keys, showing(KeyToken.new(), "192.0.2.2")).rule == "key.unknown"


def test_addresses_of_one_ipv6_network_are_one() -> None:
    keys = gate(facts())
    for number in range(GUESSES_PER_MINUTE):
        refusal(keys, showing(KeyToken.new(), f"2001:db8::{number:x}"))
    with pytest.raises(TooMany):
        keys.admit(showing(KeyToken.new(), "2001:db8::ffff"), "default")


def test_nobody_is_let_in_before_it_is_known_who_may() -> None:
    keys = KeyGate(Ring())
    with pytest.raises(NotYet):
        keys.admit(showing(), "default")


def test_requests_are_counted_by_key_and_keys_that_are_gone_are_no_more() -> None:
    token, other = KeyToken.new(), KeyToken.new()
    ring = Ring(KeyList(keys=(facts(token), facts(other))))
    keys = KeyGate(ring)
    unknown = counted("", "unknown")
    keys.admit(showing(token), "default")
    keys.admit(showing(other), "default")
    refusal(keys, showing(KeyToken.new()))
    assert [counted(token.id, "allowed"), counted(other.id, "allowed")] == [1, 1]
    assert counted("", "unknown") == unknown + 1
    ring.hold(KeyList(keys=(facts(other),)))
    assert [counted(token.id, "allowed"), counted(other.id, "allowed")] == [0, 1]
