"""An event stays small enough for a message, whatever one offset validates."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from augmenter.domain import Limits
from augmenter.done import Done
from augmenter.fitting import MOST_BYTES, fitted
from augmenter.rendering import Rendered, Rendering
from augmenter.store import Store
from labelstream.batches import WholeBatches
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.annotation import Outcome
from labelstream.events.batch import BatchAugmented, Range, Rewritten
from labelstream.events.envelope import Envelope
from labelstream.labels import Box
from labelstream.service.health import Health
from labelstream.values import FileRef, digest_of, sha256_hex

FRAME = 900_000
NAMES, ARCHIVES = 2_000, 5_000


class Copying:
    """Makes variants without pixels: a text for each image."""

    workers = 4

    async def render(self, _encoded: bytes, image: Any, shapes: Any, recipe: Any, _modes: Any) -> Rendering:
        return Rendering((Rendered(f"{recipe.name} {image.sha256}".encode(), shapes),), "0" * 16)


async def test_one_validation_of_2000_names_is_one_short_event_whose_lists_lie_in_the_store(
    world: Any, image_ref: Any, scene: Any
) -> None:
    world.renderer = Copying()
    some = scene(1)
    names = [f"{n:04d} {'x' * 200}" for n in range(NAMES)]
    drawn = {}
    for n, name in enumerate(names):
        encoded = f"image {n}".encode()
        shapes = (Box(class_id=0, x=0.5, y=0.5, w=0.1, h=0.1),)
        drawn[name] = type(some)(encoded, image_ref(encoded), shapes)
        await world.blobs.put(drawn[name].image.key, encoded)
    for at in range(0, NAMES, 100):
        recorded = (
            Outcome(name=name, outcome="recorded", validated=False, revision=1, annotation=drawn[name].annotation())
            for name in names[at : at + 100]
        )
        await world.say(*recorded)
    await world.say(*(Outcome(name=name, outcome="validated", validated=True, revision=2) for name in names))
    async with world.running(Limits()):
        await world.covered()
    for envelope in world.envelopes():
        assert len(envelope.to_message().body) < FRAME
    short = [envelope for envelope in world.envelopes() if envelope.event.lists]
    assert len(short) == 1
    assert short[0].event.members == ()

    done = Done("default", world.recipe.digest)
    whole = WholeBatches(done.fold, world.blobs, Health())
    for offset, envelope in enumerate(world.envelopes()):
        whole(offset, envelope)
    contents = [(one.image.sha256, one.annotation().labels) for one in drawn.values()]
    assert not any(map(done, contents))
    await whole.fetch()
    assert all(map(done, contents))

    rendered = sum(len(batch.members) for batch in world.batches())
    await world.say(*(Outcome(name=name, outcome="validated", validated=True, revision=3) for name in names[:10]))
    async with world.running(Limits()):
        await world.covered()
    assert sum(len(batch.members) for batch in world.batches()) == rendered  # a restart knows them all


async def test_a_long_list_of_rewritten_archives_leaves_the_event_as_well() -> None:
    keys = [f"default/archives/{digest_of(n)}.tar" for n in range(ARCHIVES)]
    event = BatchAugmented(
        input=Range(stream="annotation-events", first=1, last=1),
        recipe="a" * 64,
        erased_images=tuple(digest_of([n]) for n in range(ARCHIVES)),
        rewritten=tuple(Rewritten(archive=key, by=FileRef.of(key, b"x")) for key in keys),
    )
    blobs = MemoryBlobs()
    envelope = Envelope.of(event, source="augmenter", answers="1", project="default")
    short = await fitted(Store(blobs, Health()), envelope)
    assert len(short.to_message().body) < 1_000
    assert isinstance(short.event, BatchAugmented)
    assert short.event.lists is not None
    packed = (await blobs.get(short.event.lists.key)).data
    assert sha256_hex(packed) == short.event.lists.sha256
    assert short.event.with_lists(packed) == event
    assert (await fitted(Store(blobs, Health()), envelope)).event == short.event


@pytest.mark.parametrize(("room", "travels"), [(0, True), (-1, False)], ids=["fits", "one byte more"])
async def test_only_what_does_not_fit_leaves_the_event(
    room: int, travels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = BatchAugmented(input=Range(stream="annotation-events", first=1, last=1), recipe="a" * 64)
    monkeypatch.setattr("augmenter.fitting.MOST_BYTES", len(event.packed_lists()) + room)
    envelope = Envelope.of(event, source="augmenter", answers="1", project="default")
    short = (await fitted(Store(MemoryBlobs(), Health()), envelope)).event
    assert isinstance(short, BatchAugmented)
    assert (short.lists is None) == travels
    assert MOST_BYTES < FRAME
    assert msgpack.unpackb(event.packed_lists())["members"] == []
