"""Takes erased images out of the archives; what else is in them stays."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from augmenter.domain import Batch
from augmenter.done import Done
from augmenter.store import Store
from labelstream import keys
from labelstream.events.batch import Rewritten
from labelstream.values import FileRef, digest_of, sha256_hex
from labelstream_datasets.archives.contents import holds, without
from labelstream_datasets.archives.erased import Erasure

log = structlog.get_logger()


@dataclass(frozen=True)
class Eraser:
    """Rewrites archives: a copy without what was erased first, then a note where it lies, then the old one goes.

    Doing it again after a crash comes to the same. Archives of every recipe are alike to it: nothing is rendered.
    """

    store: Store

    async def erase(self, batch: Batch, done: Done) -> tuple[Rewritten, ...]:
        """Take what the batch erases out of every archive made before it; return the known ones that were touched."""
        erasure = batch.erasure
        if not erasure:
            return ()
        rewritten: list[Rewritten] = []
        for key in done.showing({*erasure.images, *erasure.stayed}, batch.last):
            by = await self._known(batch.project, key, erasure)
            if by is None or by.key != key:  # else what it has of the image is said of it still
                rewritten.append(Rewritten(archive=key, by=by))
        if erasure.stayed or not done.erased(erasure.images, batch.last):  # else another recipe's writer did
            await self._strays(batch.project, done, erasure)
        return tuple(rewritten)

    async def _known(self, project: str, key: str, erasure: Erasure) -> FileRef | None:
        try:
            return await self._rewrite(project, key, erasure)
        except ValueError as error:
            log.warning("archive.unreadable", archive=key, reason=str(error))  # nobody can use what else is in it
            await self._replace(key, None)
            return None

    async def _strays(self, project: str, done: Done, erasure: Erasure) -> None:
        """Rewrite what no event names: a writer died, or is about to say so, between archive and event."""
        for key in await self.store.keys(keys.archives(project), ".tar"):
            try:
                if not done.knows(key):
                    await self._rewrite(project, key, erasure)
            except ValueError as error:
                log.warning("archive.foreign", archive=key, reason=str(error))

    async def _rewrite(self, project: str, key: str, erasure: Erasure) -> FileRef | None:
        """Return where the rest of an archive lies now. Raises ValueError for what is no archive of ours."""
        old = await self.store.read(key)
        if old is None:  # by us before a crash, or by another writer: what took its place may show them still
            by = await self._forwarded(key)
            return await self._rewrite(project, by.key, erasure) if by else None
        if not await asyncio.to_thread(holds, old, erasure):
            return await asyncio.to_thread(FileRef.of, key, old)
        kept, by = await asyncio.to_thread(without, old, erasure), None
        if kept is not None:
            new_key = keys.archive(project, digest_of([key, await asyncio.to_thread(sha256_hex, kept)]))
            by = await asyncio.to_thread(FileRef.of, new_key, await self.store.create(new_key, kept))
        await self._replace(key, by)
        return by

    async def _replace(self, key: str, by: FileRef | None) -> None:
        note = Rewritten(archive=key, by=by).model_dump_json().encode()
        await self.store.put(keys.forwarding(key), note)
        await self.store.delete(key)
        log.info("archive.rewritten", archive=key, by=by.key if by else None)

    async def _forwarded(self, key: str) -> FileRef | None:
        note = await self.store.read(keys.forwarding(key))
        if note is None:
            log.warning("archive.missing", archive=key)
            return None
        return Rewritten.model_validate_json(note).by
