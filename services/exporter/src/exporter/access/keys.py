"""Adds and revokes API keys, with which programs ask inference; their secrets never come here."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.access.admitting import Admitting, Outcome
from exporter.access.devices import asking_of
from exporter.access.known import KnownKeys
from exporter.access.records import KEYS, Records
from exporter.access.saying import Say, now_ms
from labelstream.access import ApiKey
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.model_requests import AddKey, Answer, ModelRequest, RevokeKey
from labelstream.service.health import Health

MOST_LIVE = 10_000  # every replica of inference is told of all of them at once


def keys_of(resources: Blobs, health: Health, say: Say) -> Admitting[ApiKey]:
    """Return the API keys of the resources bucket."""
    return Admitting(Records(resources, KEYS), KnownKeys(resources, health, max_age_s=0), say)


@dataclass(frozen=True)
class AddingKey:
    """Answers requests to add an API key."""

    keys: Admitting[ApiKey]
    most_live: int = MOST_LIVE

    async def __call__(self, project: str, request: ModelRequest) -> Answer:
        """Add it; the name of one that was revoked or has expired is free. Raises Rejected, Unavailable."""
        asked = request.what
        assert isinstance(asked, AddKey)  # noqa: S101  # as the requests are dispatched
        await self._require_room(asked.key)
        kept = await self.keys.records.look(asked.key.name)
        is_free = kept is not None and kept.record is not None and not kept.record.is_live(now_ms())
        outcome: Outcome = await self.keys.admit(
            asked.key, asking_of(project, request), replace=asked.replace or is_free
        )
        return Answer(outcome=outcome)

    async def _require_room(self, asked: ApiKey) -> None:
        now = now_ms()
        others = sum(key.is_live(now) and key.name != asked.name for key in await self.keys.known.all())
        if others >= self.most_live:
            reason = f"there are {others:,} live API keys already"
            raise Rejected("key.too_many", reason, "Revoke some, or let programs share one: `labelstream keys list`.")


@dataclass(frozen=True)
class RevokingKey:
    """Answers requests to revoke an API key."""

    keys: Admitting[ApiKey]

    async def __call__(self, project: str, request: ModelRequest) -> Answer:
        """Revoke it. Raises Rejected, Unavailable."""
        asked = request.what
        assert isinstance(asked, RevokeKey)  # noqa: S101  # as the requests are dispatched
        return Answer(outcome=await self.keys.end(asked.name, asking_of(project, request)))
