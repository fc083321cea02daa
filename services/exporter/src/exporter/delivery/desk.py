"""What the routes draw on: who calls, what there is, and what the audit log hears of it."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.delivery.addresses import Addresses
from exporter.delivery.api_keys import ApiKeys
from exporter.delivery.audit import Audit
from exporter.delivery.callers import Caller, Callers
from exporter.delivery.grants import Grants
from exporter.delivery.limiting import Rates
from exporter.delivery.login import Login
from exporter.delivery.models import Models
from exporter.delivery.problems import Problem, TurnedAway
from exporter.delivery.tokens import Tokens
from labelstream.events.access import ResourceFetched
from labelstream.models import ModelState
from labelstream.values import sha256_hex


@dataclass(frozen=True)
class Desk:
    """Answers, once it is known who asks. Every method raises Problem, and Unavailable."""

    project: str  # that the audit log puts what belongs to no project under
    models: Models
    callers: Callers
    login: Login
    tokens: Tokens
    grants: Grants
    api_keys: ApiKeys
    rates: Rates
    addresses: Addresses
    audit: Audit

    async def caller(self, shown: str | None) -> Caller:
        """Return who shows this token, unless they ask too often."""
        caller = await self.callers.caller(shown)
        self.rates.request_by(caller.who)
        return caller

    async def log_in(self, email: str, password: str, address: str, *, with_email: bool = False) -> str:
        """Return a token for who has this password."""
        user = await self.login.user(email, password, address)
        return self.tokens.issue(user.name, since_ms=user.added_ms, email=email if with_email else None)

    async def grant(self, project: str, model: str, caller: Caller, address: str) -> bytes | None:
        """Return a device's grant of a model; None while it is being made."""
        caller.see(project)
        state = self.models.find(project, model)
        device = caller.as_device(f"grant of {state.model}")
        not_withdrawn(state)
        grant = await self.grants.fetch(project, state.model, device)
        if grant is not None:
            await self.fetched(caller, f"grant of {state.model}", grant, project, address)
        return grant

    async def fetched(self, caller: Caller, resource: str, content: bytes, project: str, address: str) -> None:
        """Have the audit log confirm that somebody is given something."""
        who = caller.who
        await self.audit.say(
            ResourceFetched(
                kind="device" if who.kind == "device" else "user",
                name=who.name,
                resource=resource,
                sha256=sha256_hex(content),
                size_bytes=len(content),
                address=self.addresses.hashed(address),
            ),
            project,
        )

    def turned_away(self, refusal: TurnedAway, address: str) -> None:
        """Count for the audit log that somebody was turned away."""
        hashed = self.addresses.hashed(address)
        self.audit.refused(refusal.who, refusal.rule, refusal.resource, hashed, self.project)


def not_withdrawn(state: ModelState) -> None:
    """Raise Problem when a model was withdrawn."""
    if state.withdrawn is not None:
        hint = f"See /v1/projects/{state.project}/serving for what serves."
        raise Problem(410, "model-withdrawn", f"{state.model} was withdrawn", hint)
