"""Makes grants for those who ask, and takes them back. Nothing else about a model changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from exporter.access import metrics
from exporter.access.lasting import expires_ms, is_spent, may_have
from exporter.access.records import DEVICES, Records
from exporter.access.saying import Say, now_ms
from exporter.access.vault import Vault
from labelstream import keys
from labelstream.access import Device
from labelstream.blobs.ports import Blobs
from labelstream.bundle import ModelKey
from labelstream.errors import Rejected
from labelstream.events.access import GrantMade
from labelstream.model_requests import GrantRequest
from labelstream.models import ModelBook
from labelstream.protection.grants import grant_content, make_grant
from labelstream.service.health import Health
from labelstream.values import short_id

_AT_ONCE = 8

log = structlog.get_logger()


@dataclass
class Granting:
    """Makes grants. Every method raises Unavailable when store or broker are away.

    It is the one writer of grants: while it changes those of a device, nothing else does.
    """

    resources: Blobs
    vault: Vault
    book: ModelBook
    say: Say
    health: Health
    _busy: dict[str, _Turn] = field(default_factory=dict)  # by device

    async def on_request(self, project: str, request: GrantRequest) -> None:
        """Make the grant that a device wishes for. Raises Rejected when it may not have it."""
        await self.grant(project, request.model, request.device)

    async def grant(self, project: str, model: str, device: str) -> None:
        """Seal a model to a device, unless it has a grant that lasts. Raises Rejected when it may not have it."""
        self._require_model(project, model)
        async with self.alone(device):
            record, _ = await Records(self.resources, DEVICES).require(device)
            _require_right(record, project)
            where = keys.grant(project, model, device)
            there = await self.resources.head(where)
            if there is not None and not is_spent(there, record):
                return
            await self._make(project, model, record)

    async def withdraw(self, project: str, model: str) -> None:
        """Take a model's grants back. Devices keep what they fetched."""
        await self._delete([info.key async for info in self.resources.list(keys.grants(project, model))])

    async def take_back(self, device: str) -> None:
        """Take a device's grants back, while `alone` with it. It keeps what it fetched."""
        await self._delete(keys.grant(each.project, each.model, device) for each in self.book.models.values())

    @asynccontextmanager
    async def alone(self, device: str) -> AsyncIterator[None]:
        """Hold off everything else that concerns a device, while inside."""
        turn = self._busy.setdefault(device, _Turn())
        turn.wanted_by += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted_by -= 1
            if not turn.wanted_by:
                del self._busy[device]

    def _require_model(self, project: str, model: str) -> None:
        state = self.book.models.get(model)
        if state is None or state.project != project:
            raise Rejected("model.unknown", f"{project} has no model {model}", "`labelstream models list` shows them.")
        if state.withdrawn is not None:
            why = state.withdrawn.reason
            raise Rejected("model.withdrawn", f"the model {model} was withdrawn: {why}", "Take the one that serves.")

    async def _make(self, project: str, model: str, device: Device) -> None:
        key = await self._key(project, model)
        made_ms = now_ms()
        ends_ms = expires_ms(device, made_ms)
        content = grant_content(key, device.name, expires_ms=ends_ms)
        sealed = await asyncio.to_thread(make_grant, content, device.recipient)
        # Said before it is so: nobody holds a grant that the audit log does not know.
        made = GrantMade(device=device.name, model=model, expires_ms=ends_ms)
        await self.say(made, project, answers=short_id("grant", project, model, device.name, str(made_ms)))
        where = keys.grant(project, model, device.name)
        await self.resources.put(where, sealed)
        try:
            self._require_model(project, model)
        except Rejected:  # withdrawn in between, perhaps after its grants were listed
            await self.resources.delete(where)
            raise
        metrics.GRANTS.labels(project).inc()
        log.info("grant.made", project=project, model=model, device=device.name, expires_ms=ends_ms)

    async def _key(self, project: str, model: str) -> ModelKey:
        what = f"grants of {project}"
        try:
            key = await self.vault.open(project, model)
        except Rejected as error:  # no device's fault: somebody should look
            self.health.degraded(what, f"{error.rule}: {error.reason}")
            raise
        self.health.degraded(what, None)
        return key

    async def _delete(self, where: Iterable[str]) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(key: str) -> None:
            async with gate:
                await self.resources.delete(key)

        await asyncio.gather(*(one(key) for key in where))


@dataclass
class _Turn:
    """Who waits for a device."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted_by: int = 0


def _require_right(device: Device, project: str) -> None:
    if device.revoked is not None:
        hint = "`labelstream devices add --replace` lets it in again."
        raise Rejected("device.revoked", f"{device.name} was revoked: {device.revoked.why}", hint)
    if not may_have(device, project):
        allowed = ", ".join(device.projects or ()) or "none"
        reason = f"{device.name} may not have models of {project}; its projects: {allowed}"
        raise Rejected("device.project_not_allowed", reason, "`labelstream devices add --replace --project …`")
