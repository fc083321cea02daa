"""Lets in who shows an API key that counts, for the projects that it is for, and as often as it may.

The key comes as `Authorization: Bearer lsk_…` or as `X-API-Key: lsk_…`. Wrong ones are limited by the address that they
come from, and only they: a good key passes from the same address.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from starlette.requests import Request

from inference.access.rates import Rates, TooMany
from inference.access.ring import NotYet, Ring
from inference.metrics import KEY_REQUESTS
from labelstream.access import KeyFacts, KeyToken
from labelstream.errors import Rejected

__all__ = ["KeyGate", "NotYet"]

GUESSES_PER_MINUTE = 60  # from one address
_HOW = "Send `Authorization: Bearer lsk_…` or `X-API-Key: lsk_…`."
_ANOTHER = "Ask an operator for another: `labelstream keys add`."
# Whoever shows a key that is not there waits as long for the comparison as who shows a wrong secret.
_NOBODY = KeyFacts(id="0" * 16, secret_sha256=hashlib.sha256(b"").hexdigest())


class KeyGate:
    """Knows who may ask which project."""

    def __init__(
        self,
        ring: Ring,
        rates: Rates | None = None,
        guesses: Rates | None = None,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        """Let in by the keys of `ring`; `rates` counts what each asks, `guesses` what each address tries in vain."""
        self._ring = ring
        self._rates = rates or Rates()
        self._guesses = guesses or Rates()
        self._now_ms = now_ms

    def admit(self, request: Request, project: str) -> None:
        """Let the caller ask `project`. Raises Rejected, TooMany, NotYet."""
        key = self._key_of(request)
        if not _is_for(key, project):
            KEY_REQUESTS.labels(key.id, "not_for_project").inc()
            reason = f"the key {key.id} is not for the project {project!r}"
            may = ", ".join(key.projects or ()) or "none of this service's"
            raise Rejected("key.not_for_project", reason, f"It may ask: {may}. Name one with `project`.")
        self._count(key)

    def may_see(self, request: Request, projects: Iterable[str]) -> tuple[str, ...]:
        """Return which of `projects` the caller may ask. Raises Rejected, TooMany, NotYet."""
        key = self._key_of(request)
        self._count(key)
        return tuple(project for project in projects if _is_for(key, project))

    def _key_of(self, request: Request) -> KeyFacts:
        shown = _shown(request)
        if not shown:
            KEY_REQUESTS.labels("", "missing").inc()
            raise Rejected("key.missing", "no API key was sent", _HOW)
        token = KeyToken.read(shown)
        found = self._ring.find(token.id if token else "")
        has_secret = (found or _NOBODY).has(token.secret if token else "")
        if found is None or not has_secret:
            raise self._guessed(request)
        request.state.key_id = found.id
        self._require_live(found)
        return found

    def _require_live(self, key: KeyFacts) -> None:
        if key.revoked_ms is not None:
            KEY_REQUESTS.labels(key.id, "revoked").inc()
            raise Rejected("key.revoked", f"the key {key.id} was revoked {_moment(key.revoked_ms)}", _ANOTHER)
        if key.expires_ms is not None and key.is_expired(self._now_ms()):
            KEY_REQUESTS.labels(key.id, "expired").inc()
            raise Rejected("key.expired", f"the key {key.id} expired {_moment(key.expires_ms)}", _ANOTHER)

    def _count(self, key: KeyFacts) -> None:
        wait_s = None if key.per_minute is None else self._rates.take(key.id, key.per_minute)
        if wait_s is not None:
            KEY_REQUESTS.labels(key.id, "limited").inc()
            raise TooMany(f"the key {key.id}", f"it may ask {key.per_minute:,} times a minute", wait_s)
        KEY_REQUESTS.labels(key.id, "allowed").inc()

    def _guessed(self, request: Request) -> Exception:
        """Return what who shows a wrong key is told."""
        wait_s = self._guesses.take(_address(request), GUESSES_PER_MINUTE)
        KEY_REQUESTS.labels("", "unknown" if wait_s is None else "guessing").inc()
        if wait_s is not None:
            return TooMany("this address", f"it showed more than {GUESSES_PER_MINUTE} unknown keys a minute", wait_s)
        return Rejected("key.unknown", "the API key is none that counts here", _HOW)


def _is_for(key: KeyFacts, project: str) -> bool:
    return key.projects is None or project in key.projects


def _shown(request: Request) -> str:
    """Return the key that was sent; X-API-Key counts first, since a proxy may use the other header for itself."""
    own = request.headers.get("x-api-key")
    if own is not None:
        return own.strip()
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else ""


def _address(request: Request) -> str:
    """Return where a request comes from; of IPv6 the network, which one household has to itself."""
    peer = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _moment(ms: int) -> str:
    return f"at {datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
