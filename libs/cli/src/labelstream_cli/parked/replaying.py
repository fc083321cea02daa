"""Publishing parked messages again, and marking what was done about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from labelstream.errors import Rejected
from labelstream.parked import INGEST, Mark, Parked, replay_of, to_mark
from labelstream.streams.message import Message
from labelstream.streams.ports import Broker, Publisher
from labelstream_cli.parked.reading import Kept, bytes_of
from labelstream_cli.reaching import PATIENCE_S, Tell, not_told
from labelstream_cli.running import CommandFailed

NAME = "labelstream-parked"  # the publisher; one at a time
_MOST_MESSAGES, _MOST_BYTES = 100, 8 << 20  # between two confirmations


@dataclass(frozen=True)
class BecameOf:
    """What a replay came to for one name."""

    outcome: str
    name: str | None = None
    rule: str | None = None
    reason: str | None = None
    hint: str | None = None


@dataclass
class Replayed:
    """A parked message, and how far its replay got."""

    kept: Kept
    problem: str | None = None  # why it was not published
    message_id: str | None = None
    became: list[BecameOf] = field(default_factory=list)

    @property
    def published(self) -> bool:
        """Whether it was published again."""
        return self.problem is None

    @property
    def failed(self) -> bool:
        """Whether somebody should look at it."""
        return not self.published or any(one.outcome == "rejected" for one in self.became)

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        outcomes = [{key: value for key, value in vars(one).items() if value is not None} for one in self.became]
        return {**self.kept.as_json(), "published": self.published, "problem": self.problem, "outcomes": outcomes}


@dataclass
class _Writer:
    """One stream's publisher and the last id that it used."""

    publisher: Publisher
    last: int

    @classmethod
    async def of(cls, broker: Broker, stream: str) -> _Writer:
        """Go on where the last one stopped. Raises Unavailable when there is no such stream."""
        return cls(broker.publisher(stream, NAME), await broker.last_publishing_id(stream, NAME))

    async def write(self, messages: Sequence[Message]) -> None:
        """Return when the broker has stored the messages. Raises CommandFailed when it is away for long."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.publisher.publish(list(enumerate(messages, self.last + 1)))
        except TimeoutError as error:
            raise CommandFailed(
                f"the broker confirmed nothing for {PATIENCE_S:.0f} s; the same again does no harm"
            ) from error
        self.last += len(messages)


async def mark(broker: Broker, mark: Mark, messages: Sequence[Kept]) -> None:
    """Say in the parked stream what was done about messages."""
    writer = await _Writer.of(broker, INGEST)
    for begin in range(0, len(messages), _MOST_MESSAGES):
        await writer.write([to_mark(mark, one.input) for one in messages[begin : begin + _MOST_MESSAGES]])


async def replay(broker: Broker, messages: Sequence[Kept], tell: Tell = not_told) -> list[Replayed]:
    """Publish messages again to the streams where they came in, each marked once it is stored there.

    A message whose bytes are none is passed over and says why.
    """
    known = {one.offset: one for one in messages}
    marks = await _Writer.of(broker, INGEST)
    writers = {stream: await _Writer.of(broker, stream) for stream in {one.input.stream for one in messages}}
    done: list[Replayed] = []
    async for batch in _batches(bytes_of(broker, known.keys(), tell)):
        for stream in {one.input.stream for one in batch}:
            tried = [_try(known[one.place.offset], one) for one in batch if one.input.stream == stream]
            again = [message for _, message in tried if message is not None]
            if again:
                await writers[stream].write(again)
                await marks.write([to_mark("replayed", one.kept.input) for one, message in tried if message])
            done += [one for one, _ in tried]
    missing = known.keys() - {one.kept.offset for one in done}
    done += [Replayed(known[offset], problem="its bytes are gone meanwhile") for offset in missing]
    return sorted(done, key=lambda one: one.kept.offset)


def _try(kept: Kept, parked: Parked) -> tuple[Replayed, Message | None]:
    try:
        message = replay_of(parked)
    except Rejected as error:
        problem = f"{error.reason}: a stream takes messages only; `labelstream parked show --save` writes the bytes"
        return Replayed(kept, problem=problem), None
    return Replayed(kept, message_id=message.message_id), message


async def _batches(messages: AsyncIterator[Parked]) -> AsyncIterator[list[Parked]]:
    batch: list[Parked] = []
    async for one in messages:
        batch.append(one)
        if len(batch) >= _MOST_MESSAGES or sum(each.size_bytes for each in batch) >= _MOST_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch
