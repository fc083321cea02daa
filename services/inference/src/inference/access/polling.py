"""Hears which API keys count: asks the exporter's API again and again, and goes on with the last list meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol

import httpx
import structlog
from pydantic import SecretStr, ValidationError

from inference.access.kept import Heard, KeptList
from inference.access.ring import Ring
from inference.exporter_client import reason_of
from inference.serving.patience import Patience
from labelstream.access import KeyList
from labelstream.errors import Unavailable
from labelstream.service.health import Health

WHAT = "exporter API"
STANDING = "API keys"  # as /readyz calls them
KEEPING = "API keys on disk"
ANSWER_S = 30.0

log = structlog.get_logger()


class KeySource(Protocol):
    """Who says which keys count."""

    async def fetch(self, etag: str) -> Heard | None:
        """Return the list; None when it is still the one of `etag`. Raises Unavailable."""
        ...


class ExporterKeys:
    """The exporter's HTTP API, as this device."""

    def __init__(self, client: httpx.AsyncClient, token: SecretStr) -> None:
        """Use `client`, whose base URL is the exporter's."""
        self._client = client
        self._token = token

    async def fetch(self, etag: str) -> Heard | None:
        """Return the list; None when it is still the one of `etag`. Raises Unavailable."""
        headers = {"Authorization": f"Bearer {self._token.get_secret_value()}"}
        if etag:
            headers["If-None-Match"] = etag
        try:
            response = await self._client.get("/v1/api-keys", headers=headers, timeout=ANSWER_S)
        except httpx.HTTPError as error:
            raise Unavailable(WHAT, reason_of(error)) from error
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return None
        if response.status_code != HTTPStatus.OK:
            raise Unavailable(WHAT, f"it answered {response.status_code} when it was asked for the API keys")
        try:
            keys = KeyList.model_validate_json(response.content)
        except ValidationError as error:
            raise Unavailable(WHAT, f"its list of API keys has {error.error_count()} errors") from error
        return Heard(heard_ms=int(time.time() * 1000), etag=response.headers.get("etag", ""), told=keys)


@dataclass
class Polling:
    """Keeps the ring up to date; the last list outlives a restart."""

    ring: Ring
    source: KeySource
    kept: KeptList
    patience: Patience
    health: Health
    every_s: float
    _last: Heard | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._last = self.kept.read()
        if self._last is None:
            self.health.waiting(STANDING, "no list of API keys has been heard yet")
            return
        self.ring.hold(self._last.told)
        self._say("the service has just started")

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            heard = await self.patience.until_there(self._ask, self._say)
            if heard is not None:
                await self._take(heard)
            await asyncio.sleep(self.every_s * random.uniform(0.9, 1.1))  # not all replicas at once

    async def _ask(self) -> Heard | None:
        return await self.source.fetch(self._last.etag if self._last else "")

    async def _take(self, heard: Heard) -> None:
        self._last = heard
        self.ring.hold(heard.told)
        self._say(None)
        log.info("keys.heard", keys=len(heard.told.keys))
        try:
            await asyncio.to_thread(self.kept.write, heard)
        except OSError as error:  # a full disk: requests go on, and a start without the exporter would not
            self.health.degraded(KEEPING, f"{self.kept.path} can't be written: {error.strerror}")
        else:
            self.health.degraded(KEEPING, None)

    def _say(self, reason: str | None) -> None:
        """Say why the list can't be refreshed; None when it can. Without any list nobody is let in."""
        if self._last is None:
            if reason is not None:
                self.health.waiting(STANDING, reason)
            return
        self.health.ready(STANDING)
        of = f"{datetime.fromtimestamp(self._last.heard_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
        self.health.degraded(STANDING, reason and f"those of {of} count: {reason}")
