"""Job queues on RabbitMQ: durable quorum queues, whose unreadable messages go to the queue `jobs.dead`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from labelstream.errors import Rejected, Unavailable
from labelstream.jobs.codec import pack, unpack
from labelstream.jobs.ports import Job, Taken
from labelstream.jobs.rabbitmq_session import (
    ANSWER_TIMEOUT_S,
    NOT_YET_PAUSES_S,
    Delivery,
    Session,
    is_not_yet,
    translated,
)
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings

log = structlog.get_logger()


class RabbitJobQueue:
    """Queues on one connection, which is made on first use and anew after it was lost (see ports.JobQueue)."""

    def __init__(
        self, settings: BrokerSettings, health: Health, connection_name: str, *, declares: bool = True
    ) -> None:
        """Prepare; nothing connects yet. The broker's overview shows `connection_name`.

        Who uses a queue declares it, but for those who may not: a put is Unavailable to them until somebody has.
        """
        self._settings = settings
        self._health = health
        self._name = connection_name
        self._declares = declares
        self._session: Session | None = None
        self._opening = asyncio.Lock()

    async def put(self, queue: str, job: Job) -> None:
        """Add a job; return when the broker confirmed it."""
        body = pack(job)
        async with self._connected() as session, asyncio.timeout(2 * ANSWER_TIMEOUT_S):
            await session.ensure(queue)
            await session.publish(queue, body, job.id)

    async def take(self, queue: str, wait_s: float = 1.0) -> Taken | None:
        """Take the next job; None when none came within `wait_s` seconds."""
        for pause_s in NOT_YET_PAUSES_S:
            try:
                return await self._take(queue, wait_s)
            except Unavailable as error:
                if not is_not_yet(error.__cause__):
                    raise
                await asyncio.sleep(pause_s)
        return await self._take(queue, wait_s)

    async def close(self) -> None:
        """Release the connection; what was not acknowledged goes back to its queue."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _take(self, queue: str, wait_s: float) -> Taken | None:
        deadline = asyncio.get_running_loop().time() + wait_s
        async with self._connected() as session, asyncio.timeout(wait_s + 2 * ANSWER_TIMEOUT_S):
            await session.ensure(queue)
            while True:
                left_s = max(0, deadline - asyncio.get_running_loop().time())
                delivery = await session.next(queue, left_s)
                if delivery is None:
                    return None
                job = await _job_of(delivery, queue)
                if job is not None:
                    return _Taken(job, delivery, self._settings, self._health)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Session]:
        """Give the connection, made anew if need be; whatever goes wrong on it ends it."""
        async with translated(self._health, self._settings):
            session = await self._open()
            try:
                yield session
            except Exception:  # whatever goes wrong ends the connection, and is raised again
                if self._session is session:
                    self._session = None
                await session.close()
                raise

    async def _open(self) -> Session:
        async with self._opening:
            if self._session is None or self._session.is_closed:
                self._session = await Session.open(self._settings, self._name, declares=self._declares)
            return self._session


@dataclass
class _Taken:
    job: Job
    _delivery: Delivery
    _settings: BrokerSettings
    _health: Health
    _is_done: bool = False

    async def done(self) -> None:
        """Acknowledge; once more does no harm. Raises Unavailable: then it may be delivered again."""
        if self._is_done:
            return
        async with translated(self._health, self._settings), asyncio.timeout(ANSWER_TIMEOUT_S):
            await self._delivery.accept()
        self._is_done = True


async def _job_of(delivery: Delivery, queue: str) -> Job | None:
    """Return the job in a message; None when there is none, and the message was sent to the dead."""
    try:
        return unpack(delivery.message.body)
    except Rejected as rejected:
        log.warning("job.dead_lettered", queue=queue, rule=rejected.rule, reason=rejected.reason)
        await delivery.reject()
        return None
