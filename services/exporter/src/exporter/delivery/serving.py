"""Wires the public API: settings and adapters → routes and the tasks behind them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp

from exporter.access.known import KnownDevices, KnownKeys, KnownUsers
from exporter.delivery import metrics
from exporter.delivery.addresses import Addresses
from exporter.delivery.api import address_of, v1_routes
from exporter.delivery.api_keys import ApiKeys
from exporter.delivery.audit import Audit
from exporter.delivery.azaion import azaion_routes
from exporter.delivery.callers import Callers
from exporter.delivery.desk import Desk
from exporter.delivery.grants import Grants
from exporter.delivery.guarding import Bounds, Guard
from exporter.delivery.limiting import Rates
from exporter.delivery.login import Login, lockouts
from exporter.delivery.models import Models, follow_models
from exporter.delivery.passwords import Passwords
from exporter.delivery.problems import TurnedAway, add_problems, respond
from exporter.delivery.resources import Resources
from exporter.delivery.settings import ApiGroup
from exporter.delivery.tokens import TokenKeys, Tokens
from labelstream.blobs.ports import Blobs
from labelstream.jobs.ports import JobQueue
from labelstream.service.health import Health
from labelstream.service.http import health_routes
from labelstream.streams.ports import Broker


@dataclass(frozen=True)
class ApiBuckets:
    """What the public API may reach: it reads the one, and reads and writes the other."""

    resources: Blobs
    uploads: Blobs


@dataclass(frozen=True)
class Serving:
    """The API, and the tasks that keep it up to date."""

    api: ASGIApp
    routes: FastAPI  # without what guards them
    models: Models
    audit: Audit
    passwords: Passwords
    broker: Broker
    health: Health

    @classmethod
    def build(
        cls, own: ApiGroup, project: str, buckets: ApiBuckets, broker: Broker, queue: JobQueue, health: Health
    ) -> Serving:
        """Put the API together. `project` is what uploads and refusals stand under in the audit log.

        Raises Misconfigured.
        """
        passwords, rates = Passwords(), Rates(own)
        users = KnownUsers(buckets.resources, health, own.access_fresh_s)
        tokens = Tokens(TokenKeys.read(own.jwt_keys), own.issuer, own.audience, own.token_minutes * 60)
        desk = Desk(
            project=project,
            models=Models(health),
            callers=Callers(KnownDevices(buckets.resources, health, own.access_fresh_s), users, tokens),
            login=Login(users, passwords, rates, *lockouts(own)),
            tokens=tokens,
            grants=Grants(buckets.resources, queue, own),
            api_keys=ApiKeys(KnownKeys(buckets.resources, health, own.access_fresh_s)),
            rates=rates,
            addresses=Addresses(own.address_hash_key, own.trusted_proxies),
            audit=Audit(broker, own.replica, health, wait_s=own.audit_wait_s, every_s=own.refusals_every_s),
        )
        resources = Resources(desk, buckets.resources, buckets.uploads, own.max_upload_bytes, own.body_timeout_s)
        bounds = Bounds(most_upload_bytes=own.max_upload_bytes, body_timeout_s=own.body_timeout_s)
        described = routes(desk, resources, health)
        api = Guard(described, desk.addresses, rates, bounds, desk.turned_away)
        return cls(api, described, desk.models, desk.audit, passwords, broker, health)

    async def run(self) -> None:
        """Follow `model-events` and write the audit log until cancelled."""
        metrics.introduce()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(follow_models(self.broker, self.models, self.health))
                tasks.create_task(self.audit.run())
        finally:
            self.passwords.close()


def routes(desk: Desk, resources: Resources, health: Health) -> FastAPI:
    """Return the routes without what guards them."""
    app = FastAPI(
        title="Labelstream models",
        version="1",
        description="Which models there are, and the grants of the device that asks. Lists come in pages; every error "
        "is a problem detail (RFC 9457), whose `title` is the rule and whose `hint` says what to do.",
        routes=list(health_routes(health)),
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    add_problems(app)

    async def turned_away(request: Request, error: Exception) -> Response:
        assert isinstance(error, TurnedAway)  # noqa: S101  # the type that the handler is registered for
        desk.turned_away(error, address_of(request))
        return respond(error)

    app.add_exception_handler(TurnedAway, turned_away)
    app.include_router(v1_routes(desk))
    app.include_router(azaion_routes(desk, resources))
    return app
