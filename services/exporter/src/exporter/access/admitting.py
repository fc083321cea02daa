"""Lets devices, people and API keys in, and out again: a record, an entry in the audit log, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Literal

import structlog

from exporter.access.known import Known
from exporter.access.records import Kept, R, Records
from exporter.access.saying import Say, now_ms
from labelstream.access import Ended
from labelstream.errors import Rejected
from labelstream.events.access import AccessGiven, AccessRevoked
from labelstream.values import digest_of, short_id

log = structlog.get_logger()

_NOT_ASKED_FOR = {"added_ms", "added_by", "revoked"}  # what we write into a record ourselves

Outcome = Literal["done", "known"]


@dataclass(frozen=True)
class Asking:
    """Who wants it, and why."""

    by: str
    why: str = ""
    project: str = "default"  # whose operator asks
    id: str = ""  # of this very asking, so that it is said once


async def _nothing(_: str) -> None:
    """Take nothing back: people hold no grants."""


@dataclass(frozen=True)
class Admitting(Generic[R]):
    """The records of one kind, and how they change. Every method raises Unavailable, and may be called again."""

    records: Records[R]
    known: Known[R]
    say: Say
    take_back: Callable[[str], Awaitable[None]] = _nothing  # what somebody was given, by name

    async def admit(self, asked: R, asking: Asking, *, replace: bool) -> Outcome:
        """Let somebody in, or give them another key, password or rights. Raises Rejected."""
        kept = await self.records.look(asked.name)
        if kept is not None and self._is_so(kept, asked):
            return "known"
        if kept is not None and not replace:
            raise self._taken(asked.name, kept)
        await self._require_unique(asked)
        kind = self.records.kind.name
        # Said before it is so: whoever is let in stands in the audit log, also if we end here.
        given = AccessGiven(kind=kind, name=asked.name, by=asking.by, why=asking.why, replaced=kept is not None)
        mark = asking.id or digest_of(asked.model_dump(mode="json"))
        await self.say(given, asking.project, answers=short_id("given", kind, asked.name, mark))
        if kept is not None:
            await self.take_back(asked.name)
        ours = {"added_ms": now_ms(), "added_by": asking.by, "revoked": None}
        await self.records.write(asked.model_copy(update=ours), kept)
        log.info("access.given", kind=kind, name=asked.name, by=asking.by, replaced=kept is not None)
        return "done"

    async def end(self, name: str, asking: Asking) -> Outcome:
        """End somebody's access. Raises Rejected. The same again says the same again."""
        kind = self.records.kind.name
        if not asking.why.strip():
            raise Rejected(f"{kind}.no_reason", f"it is not said why {name} is revoked", "Say why with --why.")
        record, kept = await self.records.require(name)
        ended = record.revoked
        if ended is None:
            ended = Ended(at_ms=now_ms(), by=asking.by, why=asking.why)
            await self.records.write(record.model_copy(update={"revoked": ended}), kept)
            log.info("access.revoked", kind=kind, name=name, by=asking.by)
        await self.take_back(name)
        revoked = AccessRevoked(kind=kind, name=name, by=ended.by, why=ended.why)
        await self.say(revoked, asking.project, answers=short_id("revoked", kind, name, str(ended.at_ms)))
        return "done" if record.revoked is None else "known"

    def _is_so(self, kept: Kept[R], asked: R) -> bool:
        record = kept.record
        if record is None or record.revoked is not None:
            return False
        return record.model_dump(exclude=_NOT_ASKED_FOR) == asked.model_dump(exclude=_NOT_ASKED_FOR)

    def _taken(self, name: str, kept: Kept[R]) -> Rejected:
        kind = self.records.kind.name
        if kept.problem is not None:
            return kept.problem
        revoked = kept.record is not None and kept.record.revoked is not None
        reason = f"there is a {kind} {name} already" + (", which was revoked" if revoked else "")
        return Rejected(f"{kind}.exists", reason, f"Choose another name, or `labelstream {kind}s add --replace`.")

    async def _require_unique(self, asked: R) -> None:
        kind = self.records.kind
        other = await self.known.by_secret(kind.secret(asked))
        if other is not None and other.name != asked.name and other.revoked is None:
            reason = f"{asked.name} would have the same {kind.has} as {other.name}"
            raise Rejected(f"{kind.name}.not_unique", reason, f"Give it a {kind.has} of its own.")
