"""Waiting for what becomes of replays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from labelstream.events.annotation import AnnotationErased, AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker
from labelstream.values import Position
from labelstream_cli.parked.replaying import BecameOf, Replayed
from labelstream_cli.reaching import Tell, event_in, last_offset, not_told
from labelstream_cli.running import CommandFailed

PATIENCE_S = 120.0  # without any receipt


@dataclass
class Awaited:
    """The receipts of replays. Create it before anything is published."""

    broker: Broker
    start: int  # of annotation-events
    ends: dict[str, int]  # input stream → the last offset before the replays

    @classmethod
    async def of(cls, broker: Broker, streams: set[str]) -> Awaited:
        """Remember where the streams end now."""
        last = await last_offset(broker, ANNOTATION_EVENTS)
        ends = {stream: await last_offset(broker, stream) for stream in streams}
        return cls(
            broker, 0 if last is None else last + 1, {stream: -1 if at is None else at for stream, at in ends.items()}
        )

    async def follow(self, replayed: Sequence[Replayed], tell: Tell = not_told, patience_s: float = PATIENCE_S) -> None:
        """Note what became of each replay. Raises CommandFailed when nothing comes for `patience_s` seconds."""
        pending = [one for one in replayed if one.published]
        total = len(pending)
        last = {stream: await last_offset(self.broker, stream) or 0 for stream in self.ends}
        passed = dict(self.ends)
        reader = self.broker.reader(ANNOTATION_EVENTS, self.start or "first")
        try:
            async with asyncio.timeout(patience_s) as quiet:
                while pending and any(passed[stream] < last[stream] for stream in last):
                    for delivery in await reader.read():
                        quiet.reschedule(asyncio.get_running_loop().time() + patience_s)
                        event = _receipt(delivery)
                        if event is not None and event.input.stream in passed:
                            passed[event.input.stream] = max(passed[event.input.stream], event.input.offset)
                            self._settle(event, pending)
                            tell("receipts", total - len(pending), total)
        except TimeoutError as error:
            raise CommandFailed(
                f"no receipt came for {patience_s:.0f} s, {total - len(pending)} of {total} are there: `labelstream "
                "status` shows whether annotation-ingest is up. What was published is stored, and is settled when it is"
            ) from error
        finally:
            await reader.close()

    def _settle(self, event: AnnotationSettled | AnnotationErased, pending: list[Replayed]) -> None:
        """Give a receipt to the replay that it answers, if it answers one."""
        if event.input.offset <= self.ends[event.input.stream]:
            return
        for one in pending:
            if _answers(event, one):
                one.became = _became(event)
                pending.remove(one)
                return


def _answers(event: AnnotationSettled | AnnotationErased, one: Replayed) -> bool:
    if event.input.stream != one.kept.input.stream:
        return False
    replays: Position | None = getattr(event, "replays", None)
    if replays is not None:
        return replays == one.kept.origin
    return one.message_id is not None and event.message_id == one.message_id


def _became(event: AnnotationSettled | AnnotationErased) -> list[BecameOf]:
    if isinstance(event, AnnotationErased):
        return [BecameOf("erased", name) for name in event.names]
    if not event.outcomes:
        return [BecameOf(event.asked or "settled")]
    return [
        BecameOf(one.outcome, one.name, one.rejection.rule, one.rejection.reason, one.rejection.hint)
        if one.rejection
        else BecameOf(one.outcome, one.name)
        for one in event.outcomes
    ]


def _receipt(delivery: Delivery) -> AnnotationSettled | AnnotationErased | None:
    envelope = event_in(delivery)
    event = envelope.event if envelope else None
    return event if isinstance(event, AnnotationSettled | AnnotationErased) else None
