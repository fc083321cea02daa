"""Which API keys a device is told of, when it serves models that programs ask by them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.access.known import KnownKeys
from exporter.delivery.callers import Caller
from labelstream.access import ApiKey, KeyFacts, KeyList
from labelstream.values import sha256_hex

MOST_ENDED = 1_000  # newest first: who shows one of them is told why it counts no longer
RESOURCE = "API keys"


@dataclass(frozen=True)
class Listed:
    """A list, as it is sent, and what tells it from another."""

    body: bytes
    etag: str

    def is_known(self, if_none_match: str | None) -> bool:
        """Say whether who asks has this very list (RFC 9110, 13.1.2: compared weakly, as lists of tags are)."""
        tags = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
        return self.etag in tags or "*" in tags


@dataclass(frozen=True)
class ApiKeys:
    """The keys, as far as they concern who asks. The decider bounds how many live ones there are."""

    known: KnownKeys

    async def listed(self, caller: Caller) -> Listed:
        """Return the keys whose projects meet the device's. Raises TurnedAway for a person, Unavailable."""
        own = caller.as_device(RESOURCE).projects
        records = [key for key in await self.known.all() if own is None or _meets(key, own)]
        facts = sorted((_within(key.facts(), own) for key in _bounded(records)), key=lambda key: key.id)
        body = KeyList(keys=tuple(facts)).model_dump_json(exclude_none=True).encode()
        return Listed(body, f'"{sha256_hex(body)}"')


def _meets(key: ApiKey, projects: tuple[str, ...]) -> bool:
    return key.projects is None or not set(key.projects).isdisjoint(projects)


def _within(key: KeyFacts, projects: tuple[str, ...] | None) -> KeyFacts:
    """Return what concerns a device of these projects: of others it learns nothing."""
    if projects is None or key.projects is None:
        return key
    return key.model_copy(update={"projects": tuple(name for name in key.projects if name in projects)})


def _bounded(records: Iterable[ApiKey]) -> list[ApiKey]:
    now = int(time.time() * 1000)
    live: list[ApiKey] = []
    ended: list[ApiKey] = []
    for key in records:
        (live if key.is_live(now) else ended).append(key)
    return [*live, *sorted(ended, key=_ended_ms, reverse=True)[:MOST_ENDED]]


def _ended_ms(key: ApiKey) -> int:
    return key.revoked.at_ms if key.revoked is not None else key.expires_ms or 0
