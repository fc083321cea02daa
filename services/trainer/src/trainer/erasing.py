"""Takes erased images out of the reports of trainings; what reports say in figures stays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import structlog

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.blobs.rewriting import rewrite
from labelstream.trainings import JobBook, JobState
from labelstream_datasets.archives.erased import ErasedFiles
from labelstream_datasets.building.index import BatchIndex
from trainer.engine.contract import TESTED
from trainer.reporting.erased import evaluation_without, images_in_evaluation, images_in_page, page_without
from trainer.reporting.writing import REPORT

log = structlog.get_logger()


@dataclass
class _Seen:
    """What is known of a job's files, so that they are read once."""

    images: dict[int, frozenset[str]]  # by attempt: the pictures that report and evaluation have
    up_to: int = -1  # the erasure up to which they were taken out


@dataclass
class ReportEraser:
    """Follows what was erased, and rewrites what attempts at jobs left; one file at a time, beside the decider.

    Nothing is remembered beyond the process: the index knows every erasure, and a job that was cut before one is
    looked at again after a restart. What is without the pictures already is left as it is.
    """

    book: JobBook
    index: BatchIndex
    blobs: Blobs
    projects: tuple[str, ...]
    _seen: dict[str, _Seen] = field(default_factory=dict)  # by job

    async def tick(self) -> None:
        """Do what is due; raises Unavailable, and does the rest when it is called again."""
        for project in self.projects:
            last = self.index.erased(project).last
            due = [state for state in self.book.jobs.values() if state.project == project and self._is_due(state, last)]
            if due:
                erased = self.index.erased(project).files()
                for state in due:
                    await self._look_through(state, erased)

    def _is_due(self, state: JobState, last: int) -> bool:
        seen = self._seen.get(state.job)
        return state.ended is not None and _cut(state) < last and (seen is None or seen.up_to < last)

    async def _look_through(self, state: JobState, erased: ErasedFiles) -> None:
        seen = self._seen.get(state.job)
        if seen is None:
            seen = self._seen[state.job] = _Seen({n: await self._images(state, n) for n in _attempts(state)})
        cut = _cut(state)
        for attempt, images in seen.images.items():
            gone = frozenset(image for image in images if erased.takes(image, cut))
            if gone:
                await self._take_out(state, attempt, gone)
                seen.images[attempt] = images - gone
        seen.up_to = erased.last

    async def _images(self, state: JobState, attempt: int) -> frozenset[str]:
        """Return which images an attempt's files show; the small one is asked first, and rewritten last."""
        for name, images in ((TESTED, images_in_evaluation), (REPORT, images_in_page)):
            key = _key(state, attempt, name)
            try:
                return await asyncio.to_thread(images, (await self.blobs.get(key)).data)
            except BlobNotFound:
                continue
            except ValueError as error:
                _unreadable(key, error)
        return frozenset()

    async def _take_out(self, state: JobState, attempt: int, images: frozenset[str]) -> None:
        for name, without in ((REPORT, page_without), (TESTED, evaluation_without)):
            key = _key(state, attempt, name)
            try:
                if await rewrite(self.blobs, key, partial(without, gone=images)):
                    log.info("report.rewritten", job=state.job, key=key, images=len(images))
            except BlobNotFound:
                continue
            except ValueError as error:
                _unreadable(key, error)


def _cut(state: JobState) -> int:
    return state.requested.dataset.cut.offset


def _attempts(state: JobState) -> Iterator[int]:
    """Give every attempt: one that another took over from may have come as far as its report."""
    last = max(state.attempt, state.ended.attempt if state.ended else 0)
    yield from range(1, last + 1)


def _key(state: JobState, attempt: int, name: str) -> str:
    return keys.attempt(state.project, state.job, attempt, name)


def _unreadable(key: str, error: ValueError) -> None:
    """Say that an evaluation is damaged; it is left, and has no pictures itself."""
    log.warning("evaluation.unreadable", key=key, reason=str(error))
