"""Follows the promotions in `model-events`: at start the highest of each project, then each new one.

One task reads the stream; one task for each project activates the newest promotion. What can't be had
now is tried again until it can, or until a newer promotion replaces it; so is what is refused to us (a key
or a password was changed). The old model serves meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import structlog

from inference.metrics import ACTIVATIONS, REVERTS
from inference.serving.desk import Desk, Heard, Order
from inference.serving.handler import Activator
from inference.serving.patience import Patience
from inference.serving.ports import NoGrant, TurnedAway
from inference.serving.standing import Standing
from inference.serving.telemetry import Telemetry
from labelstream.errors import Misconfigured, Rejected, Unavailable
from labelstream.events.base import MODEL_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelPromoted
from labelstream.events.serving import ModelReverted
from labelstream.protection.promotions import PromotionStatement
from labelstream.streams.amqp import decode
from labelstream.streams.lag import Behind, reading
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker, Start

READER = "inference"  # as the metrics call us

log = structlog.get_logger()


class Follower:
    """Keeps the models of a replica at the newest promotions."""

    def __init__(
        self, broker: Broker, activator: Activator, telemetry: Telemetry, standing: Standing, patience: Patience
    ) -> None:
        """Follow the promotions of the projects that `activator` serves."""
        self._broker = broker
        self._activator = activator
        self._telemetry = telemetry
        self._standing = standing
        self._patience = patience
        self._desks = {project: Desk() for project in activator.models.projects}

    async def run(self) -> None:
        """Restore what was served before, then follow until cancelled."""
        try:
            for project in self._desks:
                self._bury(project)
                await self._restore(project)
            async with asyncio.TaskGroup() as tasks:
                for project, desk in self._desks.items():
                    tasks.create_task(self._activate(project, desk, tasks))
                    tasks.create_task(self._see_through(project, restored=True))
                await self._follow()
        except asyncio.CancelledError:
            for project in self._desks:
                self._activator.rest(project)
            raise

    def _bury(self, project: str) -> None:
        reverted = self._activator.bury(project)
        if reverted is not None:
            self._went_back(project, reverted)

    async def _see_through(self, project: str, *, restored: bool = False) -> None:
        """Wait for the end of a probation."""
        if restored and not await self._activator.restore_behind(project):
            return
        self._standing.tell()
        reverted = await self._activator.see_through(project)
        if reverted is not None:
            self._went_back(project, reverted)
        self._standing.tell()

    def _went_back(self, project: str, reverted: ModelReverted) -> None:
        REVERTS.labels(project, reverted.rule).inc()
        ACTIVATIONS.labels(project, "reverted").inc()
        log.error("model.reverted", project=project, **reverted.model_dump())
        self._telemetry.say(reverted, project)
        newest = self._activator.models.reverted(project)
        if newest is not None:  # unless a newer model has come meanwhile
            self._standing.went_back(project, newest)

    async def _restore(self, project: str) -> None:
        try:
            activated = await self._activator.restore(project)
        except Rejected as error:
            self._standing.refused(project, error.rule, error.reason)
            return
        except Unavailable as error:
            self._standing.awaits(project, str(error))
            return
        if activated is None:
            self._standing.awaits(project, "no promotion has been heard yet")
            return
        self._standing.serves(project)
        self._telemetry.say(activated, project)
        reverted = self._activator.models.reverted(project)
        if reverted is not None:
            self._standing.went_back(project, reverted)

    async def _follow(self) -> None:
        last = await self._patience.until_there(self._last_offset, self._standing.cut_off)
        history: dict[str, list[Heard]] = {project: [] for project in self._desks}
        async with (
            reading(self._broker, MODEL_EVENTS, READER) as behind,
            aclosing(self._deliveries(behind)) as deliveries,
        ):
            while last is not None:
                delivery = await anext(deliveries)
                for heard in self._read(delivery):
                    history[heard.envelope.project].append(heard)
                if delivery.offset >= last:
                    break
            for heard_before in history.values():
                await self._take_highest(heard_before)
            async for delivery in deliveries:
                for heard in self._read(delivery):
                    await self._take(heard)

    async def _deliveries(self, behind: Behind) -> AsyncGenerator[Delivery, None]:
        """Yield each message from the first on; a broker that refuses us is asked again where it left off."""
        start: Start = "first"
        while True:
            reader = self._broker.reader(MODEL_EVENTS, start)
            try:
                while True:
                    deliveries = await reader.read()
                    behind.read(deliveries)
                    for delivery in deliveries:
                        start = delivery.offset + 1
                        yield delivery
                        behind.handled(delivery.offset)  # who takes the next one is done with it
            except Misconfigured as error:
                log.error("dependency.refused", reason=str(error))
                self._standing.cut_off(str(error))
            finally:
                await reader.close()
            await asyncio.sleep(self._patience.longest)
            await self._patience.until_there(self._last_offset, self._standing.cut_off)

    async def _last_offset(self) -> int | None:
        await self._broker.ensure_stream(MODEL_EVENTS)
        return await self._broker.last_offset(MODEL_EVENTS)

    def _read(self, delivery: Delivery) -> Iterator[Heard]:
        """Yield the promotion in a message, if it is one of a project that is served here."""
        self._standing.read(MODEL_EVENTS, delivery.offset)
        try:
            envelope = Envelope.from_message(decode(delivery.raw))
        except Rejected as error:
            log.warning("event.unreadable", stream=MODEL_EVENTS, offset=delivery.offset, rule=error.rule)
            return
        if envelope and envelope.project in self._desks and isinstance(envelope.event, ModelPromoted):
            yield Heard(envelope, envelope.event)

    async def _take_highest(self, history: list[Heard]) -> None:
        """Follow the highest promotion that is believed; older ones are history."""
        for heard in sorted(history, key=lambda each: each.promotion.number, reverse=True):
            served = self._activator.models.current(heard.envelope.project) is not None
            if await self._take(heard, is_news=served):
                return

    async def _take(self, heard: Heard, *, is_news: bool = True) -> bool:
        """Put a promotion on its project's desk, unless it is not to be believed."""
        project = heard.envelope.project

        async def check() -> PromotionStatement:
            return await asyncio.to_thread(self._activator.check, project, heard.promotion)

        try:  # the trusted keys' files may be away
            statement = await self._patience.until_there(check, self._standing.cut_off)
        except Rejected as error:
            self._refuse(heard, error)
            return False
        await self._activator.believe(statement)
        went_back = await asyncio.to_thread(self._activator.went_back, statement)
        if self._activator.serves(statement):
            self._standing.begins_with(project, heard.promotion, heard.envelope.time_ms)
        elif not went_back:
            self._desks[project].put(Order(heard, statement, is_news))
        return True

    async def _activate(self, project: str, desk: Desk, tasks: asyncio.TaskGroup) -> None:
        while True:
            order = await desk.take()
            try:
                if await self._persist(project, order, desk):
                    tasks.create_task(self._see_through(project))
            except Rejected as error:
                self._refuse(order.heard, error)

    async def _persist(self, project: str, order: Order, desk: Desk) -> bool:
        """Activate, again and again while something is away or refuses us, until a newer order comes.

        Say whether the model answers now.
        """
        begun, said = time.monotonic(), False
        for pause in self._patience.pauses():
            try:
                activated = await self._activator.activate(order.statement, order.heard.promotion)
            except Unavailable as error:
                self._standing.awaits(project, str(error))
                if isinstance(error, NoGrant) and not said and self._lasts(error, begun):
                    said = True
                    self._refuse(order.heard, Rejected(error.rule, error.reason, error.hint), "ungranted")
                if await desk.newer_within(pause):
                    return False
            except Misconfigured as error:
                log.error("dependency.refused", project=project, reason=str(error))
                self._standing.awaits(project, str(error))
                if await desk.newer_within(self._patience.longest):
                    return False
            else:
                self._standing.serves(project)
                if order.is_news:
                    self._standing.went_live(project, order.heard.promotion)
                else:
                    self._standing.begins_with(project, order.heard.promotion, order.heard.envelope.time_ms)
                ACTIVATIONS.labels(project, "activated").inc()
                log.info("model.activated", project=project, **activated.model_dump())
                self._telemetry.say(activated, project, order.heard.envelope)
                return True
        raise AssertionError("pauses end never")

    def _lasts(self, error: NoGrant, begun: float) -> bool:
        """Say whether the want of a grant is more than its maker being a moment behind."""
        return isinstance(error, TurnedAway) or time.monotonic() - begun >= self._patience.grant_s

    def _refuse(self, heard: Heard, error: Rejected, outcome: str = "refused") -> None:
        project = heard.envelope.project
        failed = self._activator.failed(project, heard.promotion, error)
        self._standing.refused(project, error.rule, f"promotion {failed.number} of {failed.model}: {error.reason}")
        ACTIVATIONS.labels(project, outcome).inc()
        log.error("model.refused", project=project, hint=error.hint, **failed.model_dump())
        self._telemetry.say(failed, project, heard.envelope)
