"""The same messages through a fresh stack that nobody disturbs: what the receipts and the datasets should have been."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.calling import call
from chaos.stage import undisturbed_options
from chaos.streams import INPUT, LABELLING, Streams
from labelstream.errors import Unavailable
from labelstream.events.annotation import AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.service.health import Health
from labelstream.streams.amqp import decode, encode
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.stack import Stack, down, up

PATIENCE_S = 900.0
AT_ONCE = 100
LOOK_EVERY_S = 1.0
FINAL = -1  # the cut of the dataset of everything
SHARES = "50/25/25"  # as the trainer of the stage splits


@dataclass(frozen=True)
class Outcome:
    """What a stack came to: equal when nothing that happened to it mattered."""

    receipts: list[Any]  # places as numbers: offsets differ from broker to broker
    datasets: dict[int, str]  # by number of the event that is the cut


async def outcome(stack: Stack, streams: Streams, cuts: Iterable[int]) -> Outcome:
    """Read back what a stack came to, and build its datasets as of some events. Raises CallFailed."""
    settled = [one.event for one in streams.said[ANNOTATION_EVENTS] if isinstance(one.event, AnnotationSettled)]
    numbers = {one.offset: number for number, one in enumerate(streams.stored)}
    places = [one.offset for one in streams.said[ANNOTATION_EVENTS]]
    datasets = {}
    for cut in (*cuts, FINAL):
        said = await call(
            stack.layout.root, "dataset", "build", "--dry-run", "--json", "--ratios", SHARES, "--at", str(places[cut])
        )
        datasets[cut] = str(json.loads(said)["id"])
    return Outcome([_numbered(receipt.model_dump(mode="json"), numbers) for receipt in settled], datasets)


async def undisturbed(folder: Path, raw: Sequence[bytes], cuts: Iterable[int]) -> Outcome:
    """Send the messages through annotation-ingest and augmenter of a fresh stack. Raises StartFailed, CallFailed."""
    root = folder / "stack"
    stack = await asyncio.to_thread(lambda: up(root, undisturbed_options(folder)))
    broker = RabbitBroker(stack.broker, Health(), "chaos-replay")
    streams = Streams(broker, LABELLING)
    reading = asyncio.create_task(streams.run())
    try:
        await _write(broker, raw)
        async with asyncio.timeout(PATIENCE_S):
            while waited_for(streams, len(raw)) is not None:
                await asyncio.wait({reading}, timeout=LOOK_EVERY_S)
                if reading.done():
                    reading.result()
        return await outcome(stack, streams, cuts)
    finally:
        reading.cancel()
        await broker.close()
        await asyncio.to_thread(down, root)


def waited_for(streams: Streams, messages: int) -> str | None:
    """Return what is still to come of so many messages: receipts, then variants; None when all is there."""
    receipts = len(streams.said[ANNOTATION_EVENTS])
    if len(streams.stored) < messages or receipts < messages:
        return f"{messages - receipts} of {messages} receipts are to come"
    end = streams.said[ANNOTATION_EVENTS][-1].offset if receipts else -1
    covered = max((one.input.last for one in streams.events(BatchAugmented)), default=-1)
    return None if covered >= end else f"variants of events {covered + 1} to {end}"


def differences(one: Outcome, other: Outcome) -> Iterator[str]:
    """Judge whether a disturbed course and its replay came to the same."""
    if len(one.receipts) != len(other.receipts):
        yield f"{len(one.receipts)} receipts, and {len(other.receipts)} in the replay"
    for number, (receipt, again) in enumerate(zip(one.receipts, other.receipts, strict=False)):
        if receipt != again:
            yield f"receipt {number} says {_brief(receipt, again)}, and in the replay {_brief(again, receipt)}"
            break
    for cut, dataset in one.datasets.items():
        if other.datasets[cut] != dataset:
            where = "of everything" if cut == FINAL else f"up to event {cut}"
            yield f"the dataset {where} is {dataset[:16]}, and {other.datasets[cut][:16]} in the replay"


async def _write(broker: RabbitBroker, raw: Sequence[bytes]) -> None:
    """Store the messages as they were."""
    messages = [decode(one) for one in raw]
    for number, (message, bytes_) in enumerate(zip(messages, raw, strict=True)):
        if encode(message) != bytes_:
            raise Unavailable("replay", f"message {number} is not written as it was read")
    publisher = broker.publisher(INPUT, "chaos-replay")
    for first in range(0, len(messages), AT_ONCE):
        await publisher.publish(list(enumerate(messages[first : first + AT_ONCE], first + 1)))
    await publisher.close()


def _numbered(value: Any, numbers: Mapping[int, int]) -> Any:
    """Return a receipt with messages named by their number, and other places by their stream alone."""
    if isinstance(value, dict):
        if value.keys() == {"stream", "offset"}:
            return numbers.get(value["offset"]) if value["stream"] == INPUT else value["stream"]
        return {key: _numbered(one, numbers) for key, one in value.items()}
    return [_numbered(one, numbers) for one in value] if isinstance(value, list) else value


def _brief(receipt: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return where one receipt differs from another."""
    differing = {key: value for key, value in receipt.items() if other.get(key) != value}
    return json.dumps(differing)[:300]
