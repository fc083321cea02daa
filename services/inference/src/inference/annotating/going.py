"""How far an attempt at a job is, and what it says."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from inference.annotating.looking import Eyes
from inference.annotating.ranking import score_of, unsure
from inference.annotating.seeing import Portion, Seen
from labelstream import keys
from labelstream.annotating import FAILURES, PROGRESS, Annotated, AnnotateRequest, Failed, Progress, Ranked, name_of
from labelstream.blobs.ports import BlobNotFound
from labelstream.jobs.worker import Attempt
from labelstream.service.patience import patiently
from labelstream.streams.message import Message
from labelstream.values import canonical_json, short_id
from labelstream.wire import native
from labelstream.wire.submission import ImageReference

STORE = "object store"


class Publishing(Protocol):
    """What is needed of a producer."""

    async def publish(self, message: Message) -> str:
        """Send a message."""
        ...

    async def flush(self) -> None:
        """Return when all that was sent is stored."""
        ...


@dataclass
class Going:
    """How far an attempt is."""

    attempt: Attempt
    request: AnnotateRequest
    eyes: Eyes
    confidence: float
    published_before: int  # by attempts before: in the order of publishing, these need not be said again
    seconds_before: float
    model: str
    total: int
    seen: list[Seen] = field(default_factory=list)  # for a ranking; else each is forgotten once it is published
    looked: int = 0
    failed: list[Failed] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    published: int = 0
    boxes: int = 0
    empty: int = 0
    repeated: int = 0
    _known: set[str] = field(default_factory=set)
    _begun: float = field(default_factory=time.monotonic)

    def take(self, portion: Portion) -> list[Seen]:
        """Take what became of some images; return those that no other image of the list equals."""
        self.failed += portion.failed
        self.looked += len(portion.seen) + len(portion.failed)
        fresh: list[Seen] = []
        for one in portion.seen:
            if one.sha256 in self._known:
                self.repeated += 1
                continue
            self._known.add(one.sha256)
            self.skipped.update(one.skipped(self.confidence))
            self.model = one.model
            fresh.append(one)
        if self.request.order != "name":
            self.seen += fresh
        return fresh

    async def publish(self, images: Sequence[Seen], producer: Publishing) -> None:
        """Publish what was seen, and return when it is stored."""
        for one in images:
            boxes = one.above(self.confidence)
            self.published += 1
            self.boxes += len(boxes)
            self.empty += not boxes
            if self.published > self.published_before:
                await producer.publish(self._message(one))
        await producer.flush()

    async def note(self) -> None:
        """Leave how far the attempt is."""
        await self.attempt.put(PROGRESS, self.progress().model_dump_json().encode())
        self.attempt.went_on()

    def progress(self) -> Progress:
        """Return how far the attempt is."""
        return Progress(
            total=self.total,
            model=self.model,
            predicted=self.looked,
            published=max(self.published, self.published_before),
            boxes=self.boxes,
            empty=self.empty,
            repeated=self.repeated,
            skipped=dict(self.skipped),
            failed=dict(Counter(one.rule for one in self.failed)),
            seconds=round(self.seconds_before + time.monotonic() - self._begun, 3),
        )

    async def end(self, *, cancelled: bool = False) -> Annotated:
        """Return what the job came to."""
        failures = None
        if self.failed:
            data = canonical_json([one.model_dump(mode="json") for one in self.failed])
            failures = await self.attempt.put(FAILURES, data)
        return Annotated(**self.progress().model_dump(), cancelled=cancelled, failures=failures)

    def _message(self, one: Seen) -> Message:
        name = name_of(one.sha256)
        return native.write(
            name,
            ImageReference(one.key, one.sha256),
            [box.as_message() for box in one.above(self.confidence)],
            message_id=f"annotate-{short_id(self.attempt.job.id, name)}",
            medium=one.medium,
            validated=False,
            source="ai",
        )


async def before(attempt: Attempt, begin: Progress) -> Progress:
    """Return how far the attempts before came."""
    job = attempt.job
    for number in range(attempt.number - 1, 0, -1):
        key = keys.attempt(job.project, job.id, number, PROGRESS)
        try:
            noted = await patiently(attempt.health, STORE, lambda key=key: attempt.blobs.get(key))  # type: ignore[misc]
        except BlobNotFound:
            continue
        return Progress.model_validate_json(noted.data)
    return begin


def ranking_of(order: Sequence[Seen], confidence: float) -> bytes:
    """Return a list of Ranked as it is stored."""
    return canonical_json([
        Ranked(
            place=place,
            name=name_of(one.sha256),
            file=one.file,
            score=round(score_of(one), 6),
            boxes=len(one.above(confidence)),
            unsure=unsure(one),
        ).model_dump(mode="json")
        for place, one in enumerate(order, 1)
    ])  # fmt: skip
