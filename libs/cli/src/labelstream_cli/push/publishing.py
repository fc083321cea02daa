"""Publishing imported images over the stream, as any producer would, and counting the receipts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from labelstream.errors import Rejected
from labelstream.events.annotation import AnnotationSettled, Rejection
from labelstream.producer import Producer, TimedOut
from labelstream_cli.importers import Imported, Pixels, Problem, Unreadable
from labelstream_cli.push.state import Did, PushState, stamp_of
from labelstream_cli.running import CommandFailed

FLUSH_EVERY = 50  # messages
DELETE_AT_ONCE = 1000  # names in one message
PATIENCE_S = 120.0  # without any receipt, or with a broker or store that is away
ELSEWHERE = "--by-reference sends it, once the store of these services is named (`labelstream push --help`)"
Kind = Literal["earlier", "sent", "confirmed", "receipts"]
Told = Callable[[Kind, int], None]


@dataclass(frozen=True)
class Refused:
    """An annotation that was rejected, and what can be done."""

    name: str
    rule: str
    reason: str
    hint: str

    @classmethod
    def of(cls, name: str, rejection: Rejection) -> Refused:
        """Describe a rejection."""
        return cls(name, rejection.rule, rejection.reason, rejection.hint)


@dataclass
class Pushed:
    """What became of a push."""

    names: dict[str, str] = field(default_factory=dict)  # message id → annotation
    confirmed: int = 0
    receipts: Counter[str] = field(default_factory=Counter)  # by outcome
    refused: list[Refused] = field(default_factory=list)
    unreadable: list[Problem] = field(default_factory=list)
    earlier: int = 0  # annotations that an interrupted push has sent

    @property
    def sent(self) -> int:
        """How many messages were sent."""
        return len(self.names)

    def settle(self, receipt: AnnotationSettled) -> None:
        """Count a receipt."""
        for outcome in receipt.outcomes:
            self.receipts[outcome.outcome] += 1
            if outcome.rejection is not None:
                name = outcome.name or self.names.get(receipt.message_id or "", "?")
                self.refused.append(Refused.of(name, outcome.rejection))

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "sent": self.sent,
            "confirmed": self.confirmed,
            "receipts": dict(self.receipts),
            "rejected": [asdict(one) for one in self.refused],
            "sent_earlier": self.earlier,
            "unreadable": [asdict(one) for one in self.unreadable],
        }


@dataclass(frozen=True)
class Manner:
    """How images are to be published."""

    unvalidated: bool = False  # whatever the source says
    tags: tuple[str, ...] = ()

    def fields(self, image: Imported) -> dict[str, Any]:
        """Return what an image's message says beside the name and the pixels."""
        return {
            "boxes": [box.as_message() for box in image.boxes],
            "medium": image.medium,
            "split": image.split,
            "validated": image.validated and not self.unvalidated,
            **({"tags": list(self.tags)} if self.tags else {}),
        }


async def publish(
    producer: Producer,
    images: Iterable[Imported],
    told: Told,
    manner: Manner = Manner(),
    state: PushState | None = None,
) -> Pushed:
    """Publish each image with its boxes, then delete what was deleted; return when the broker confirmed the last one.

    What `state` knows is passed over. A file that can't be read is reported, and the others are sent.
    """
    publishing = _Publishing(producer, told, manner, state)
    images = list(images)
    with Pixels() as pixels:
        for image in images:
            await publishing.send(image, pixels)
    await publishing.confirm()
    await publishing.delete([image for image in images if image.deleted])
    if state is not None:
        state.finished()
    return publishing.pushed


@dataclass
class _Publishing:
    producer: Producer
    told: Told
    manner: Manner
    state: PushState | None
    pushed: Pushed = field(default_factory=Pushed)
    _stamps: dict[str, str] = field(default_factory=dict)  # of the annotations that are sent
    _unconfirmed: list[tuple[str, str]] = field(default_factory=list)

    async def send(self, image: Imported, pixels: Pixels) -> None:
        """Send one image, unless that was done before."""
        fields = self.manner.fields(image)
        try:
            stamp = stamp_of(image, fields)
            if self._known("sent", image.name, stamp):
                self._stamps[image.name] = stamp
                self.pushed.earlier += 1
                self.told("earlier", self.pushed.earlier)
                return
            data = await asyncio.to_thread(pixels.read, image)
        except OSError as error:
            problem = Problem(image.name, f"{image.image_path}: {error.strerror}", "image unreadable")
            self.pushed.unreadable.append(problem)
            return
        except Unreadable as error:
            self.pushed.unreadable.append(Problem(image.name, str(error), error.kind))
            return
        message_id = self.state.message_id("sent", image.name, stamp) if self.state else None
        try:
            given = await self.producer.submit(name=image.name, image=data, message_id=message_id, **fields)
        except Rejected as error:
            hint = ELSEWHERE if error.rule == "image.bytes" else error.hint
            self.pushed.unreadable.append(Problem(image.name, f"{error.reason}: {hint}", "message not allowed"))
            return
        self.pushed.names[given] = image.name
        self._stamps[image.name] = stamp
        self._unconfirmed.append((image.name, stamp))
        self.told("sent", self.pushed.sent)
        if len(self._unconfirmed) >= FLUSH_EVERY:
            await self.confirm()

    async def confirm(self, did: Did = "sent") -> None:
        """Wait until the broker has confirmed what was sent, and remember it."""
        await self.producer.flush()
        self.pushed.confirmed = self.pushed.sent
        if self.state is not None:
            self.state.note(did, self._unconfirmed)
        self._unconfirmed = []
        self.told("confirmed", self.pushed.confirmed)

    async def delete(self, images: Sequence[Imported]) -> None:
        """Delete annotations that were sent."""
        names = [
            image.name
            for image in images
            if image.name in self._stamps and not self._known("deleted", image.name, self._stamps[image.name])
        ]
        for start in range(0, len(names), DELETE_AT_ONCE):
            some = names[start : start + DELETE_AT_ONCE]
            message_id = self.state.message_id("deleted", *some) if self.state else None
            given = await self.producer.delete(some, message_id=message_id)
            self.pushed.names[given] = f"the deletion of {len(some)}"
            self._unconfirmed += [(name, self._stamps[name]) for name in some]
            self.told("sent", self.pushed.sent)
            await self.confirm("deleted")

    def _known(self, did: Did, name: str, stamp: str) -> bool:
        return self.state is not None and self.state.knows(did, name, stamp)


async def follow_receipts(producer: Producer, pushed: Pushed, told: Told, patience_s: float = PATIENCE_S) -> None:
    """Count the receipts of everything that was published, until the last one is there.

    Raises CommandFailed when none comes for `patience_s` seconds.
    """
    seen = 0
    while True:
        try:
            receipt = await producer.next_receipt(timeout_s=patience_s)
        except TimedOut as error:
            raise CommandFailed(
                f"no receipt came for {patience_s:.0f} s, {seen} of {pushed.sent} are there: `labelstream status`"
                " shows whether annotation-ingest is up. What was sent is stored, and is settled when it is."
            ) from error
        if receipt is None:
            return
        if isinstance(receipt, AnnotationSettled):
            pushed.settle(receipt)
        seen += 1
        told("receipts", seen)
