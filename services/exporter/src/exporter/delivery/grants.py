"""A device's grant: what lies there, or a wish for it, passed on to the decider and waited for."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from exporter.access.lasting import is_spent
from exporter.delivery.metrics import GRANT_WAIT, GRANTS
from exporter.delivery.settings import ApiGroup
from labelstream import keys
from labelstream.access import Device
from labelstream.blobs.ports import Blob, BlobNotFound, Blobs
from labelstream.errors import Unavailable
from labelstream.jobs.ports import Job, JobQueue
from labelstream.model_requests import GRANTS_QUEUE, GrantRequest
from labelstream.values import short_id

_FIRST_LOOK_S = 0.05
_LATER_LOOKS_S = 0.4
_QUEUE_S = 5.0  # the broker must have taken a wish by then


@dataclass
class Grants:
    """Fetches grants. Every method raises Unavailable when store or broker are away."""

    resources: Blobs
    queue: JobQueue
    settings: ApiGroup
    _asked: dict[str, float] = field(default_factory=dict)  # by the grant's key: when its wish was passed on

    async def fetch(self, project: str, model: str, device: Device) -> bytes | None:
        """Return a device's grant of a model; None when it is being made, and asking again later will do."""
        key = keys.grant(project, model, device.name)
        old, spent = await self._look(key, device)
        if old is not None and not spent:
            GRANTS.labels("there").inc()
            return old.data
        begun = time.monotonic()
        await self._ask(key, project, model, device)
        made = await self._wait(key, old, device)
        GRANT_WAIT.observe(time.monotonic() - begun)
        GRANTS.labels("pending" if made is None else "made").inc()
        return made

    async def _look(self, key: str, device: Device) -> tuple[Blob | None, bool]:
        """Return what lies there, and whether its time is over."""
        info = await self.resources.head(key)
        if info is None:
            return None, False
        try:
            return await self.resources.get(key), is_spent(info, device)
        except BlobNotFound:  # removed since: the device or the model was turned away
            return None, False

    async def _ask(self, key: str, project: str, model: str, device: Device) -> None:
        """Pass the wish on, once in a while: the decider may be busy."""
        now = time.monotonic()
        self._asked = {wish: at for wish, at in self._asked.items() if now - at < self.settings.grant_again_s}
        if key in self._asked:
            return
        self._asked[key] = now
        wish = GrantRequest(model=model, device=device.name).model_dump(mode="json")
        job = Job(project=project, id=short_id("grant", project, model, device.name), payload=wish)
        try:
            async with asyncio.timeout(_QUEUE_S):
                await self.queue.put(GRANTS_QUEUE, job)
        except BaseException as error:
            self._asked.pop(key, None)
            if isinstance(error, TimeoutError):
                raise Unavailable("job queue", f"it took no wish within {_QUEUE_S:g} s") from error
            raise

    async def _wait(self, key: str, old: Blob | None, device: Device) -> bytes | None:
        """Look until there is another grant than the old one, or the time is over."""
        until = time.monotonic() + self.settings.grant_wait_s
        pause_s = _FIRST_LOOK_S
        while True:
            found, spent = await self._look(key, device)
            if found is not None and not spent and (old is None or found.etag != old.etag):
                self._asked.pop(key, None)
                return found.data
            left_s = until - time.monotonic()
            if left_s <= 0:
                return None
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LATER_LOOKS_S)
