"""Publishing an imported folder over the stream, as any producer would, and counting the receipts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from labelstream.events.annotation import AnnotationSettled, Rejection
from labelstream.producer import Producer
from labelstream_cli.importers import Imported, Problem
from labelstream_cli.running import CommandFailed

FLUSH_EVERY = 50  # messages
PATIENCE_S = 120.0  # without any receipt
Told = Callable[[Literal["sent", "confirmed", "receipts"], int], None]


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
            "unreadable": [asdict(one) for one in self.unreadable],
        }


async def publish(producer: Producer, images: Iterable[Imported], told: Told, pushed: Pushed | None = None) -> Pushed:
    """Publish each image with its boxes; return when the broker confirmed the last one.

    A file that can't be read is reported and passed over.
    """
    pushed = pushed or Pushed()
    for image in images:
        try:
            data = image.image_path.read_bytes()
        except OSError as error:
            pushed.unreadable.append(Problem(image.name, f"{image.image_path}: {error.strerror}"))
            continue
        message_id = await producer.submit(
            name=image.name,
            image=data,
            boxes=[box.as_message() for box in image.boxes],
            medium=image.medium,
            split=image.split,
        )
        pushed.names[message_id] = image.name
        told("sent", pushed.sent)
        if pushed.sent % FLUSH_EVERY == 0:
            await _confirm(producer, pushed, told)
    await _confirm(producer, pushed, told)
    return pushed


async def follow_receipts(producer: Producer, pushed: Pushed, told: Told, patience_s: float = PATIENCE_S) -> None:
    """Count the receipts of everything that was published, until the last one is there.

    Raises CommandFailed when none comes for `patience_s` seconds.
    """
    receipts = producer.receipts()
    seen = 0
    while True:
        try:
            async with asyncio.timeout(patience_s):
                receipt = await anext(receipts, None)
        except TimeoutError as error:
            raise CommandFailed(
                f"no receipt came for {patience_s:.0f} s, {seen} of {pushed.sent} are there: `labelstream status`"
                " shows whether annotation-ingest is up. What was sent is stored, and is settled when it is."
            ) from error
        if receipt is None:
            return
        pushed.settle(receipt)
        seen += 1
        told("receipts", seen)


async def _confirm(producer: Producer, pushed: Pushed, told: Told) -> None:
    await producer.flush()
    pushed.confirmed = pushed.sent
    told("confirmed", pushed.confirmed)
