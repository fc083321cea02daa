"""Pictures of refused formats show an image of the data: once that is erased, they go as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog

from labelstream import keys
from labelstream.blobs.ports import Blobs
from labelstream.models import ModelBook
from labelstream.values import FileRef

LOOK_EVERY_S = 600.0

log = structlog.get_logger()


@dataclass
class Pictures:
    """Looks now and then whether the image of each picture is still stored."""

    book: ModelBook
    data: Blobs
    _removed: set[str] = field(default_factory=set)

    async def tick(self) -> None:
        """Remove the pictures of images that are gone; raises Unavailable, and does the rest when called again."""
        for project, image, picture in list(self._pictures()):
            if picture.key not in self._removed and not await self._is_stored(project, image):
                await self.data.delete(picture.key)
                self._removed.add(picture.key)
                log.info("picture.removed", project=project, key=picture.key)

    def _pictures(self) -> Iterator[tuple[str, str, FileRef]]:
        for refusals in self.book.refusals.values():
            for refusal in refusals:
                agreement, picture = refusal.event.agreement, refusal.event.picture
                if picture is not None and agreement is not None and agreement.worst is not None:
                    yield refusal.project, agreement.worst.image, picture

    async def _is_stored(self, project: str, image: str) -> bool:
        async for _ in self.data.list(f"{keys.images(project)}{image}."):
            return True
        return False
