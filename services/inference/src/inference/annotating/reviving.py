"""Offers open jobs again that lost their worker."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from labelstream import keys
from labelstream.annotating import QUEUE, AnnotateRequest, job_of
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.jobs.desk import Desk

log = structlog.get_logger()


@dataclass(frozen=True)
class Reviving:
    """Looks at the open jobs of some projects. Every worker may do so: a job that is offered twice is done once."""

    blobs: Blobs
    desk: Desk
    projects: tuple[str, ...]

    async def tick(self) -> None:
        """Offer what nobody holds, and close the books of what is over. Raises Unavailable."""
        for project in self.projects:
            prefix = keys.annotating_open(project)
            for job_id in [info.key.removeprefix(prefix) async for info in self.blobs.list(prefix)]:
                await self._look(project, job_id)

    async def _look(self, project: str, job_id: str) -> None:
        standing = await self.desk.standing(project, job_id)
        if standing is not None and (standing.state == "finished" or standing.failure is not None):
            await self.blobs.delete(keys.annotating_open(project, job_id))
            return
        try:
            wanted = (await self.blobs.get(keys.annotating(project, job_id))).data
            request = AnnotateRequest.model_validate_json(wanted)
        except BlobNotFound:
            return  # it is being asked for right now
        except ValidationError as error:
            log.warning("job.unreadable", job=job_id, reason=str(error))
            return
        await self.desk.offer(QUEUE, job_of(request), standing)
