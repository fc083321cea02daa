"""A view that was folded from another stream than the one that is there."""

from __future__ import annotations

import pytest

from labelstream.events.annotation import AnnotationSettled, Outcome
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker
from labelstream.values import Position
from labelstream.view import AnnotationView
from labelstream.view.foreign import discard_if_foreign


def settled(offset: int) -> Envelope:
    event = AnnotationSettled(
        input=Position(stream="annotations", offset=offset),
        message_key=f"key-{offset}",
        wire="native",
        outcomes=(Outcome(name=None, outcome="duplicated"),),
    )
    return Envelope.of(event, source="test", answers=f"{offset}", project="default")


@pytest.mark.parametrize(("stored", "kept"), [(0, None), (3, None), (6, 5), (7, 5)])
async def test_a_view_is_kept_only_when_the_stream_holds_all_that_it_knows(tmp_path, stored, kept):
    broker, view = MemoryBroker(), AnnotationView(tmp_path / "view.sqlite")
    await broker.ensure_stream(ANNOTATION_EVENTS)
    publisher = broker.publisher(ANNOTATION_EVENTS, "test")
    await publisher.publish([(number + 1, settled(number).to_message()) for number in range(stored)])
    view.apply(5, settled(5))
    await discard_if_foreign(view, broker, ANNOTATION_EVENTS, Health())
    assert view.position == kept
    view.close()


async def test_a_stream_that_is_missing_is_created_and_leaves_a_new_view_alone(tmp_path):
    broker, view = MemoryBroker(), AnnotationView(tmp_path / "view.sqlite")
    await discard_if_foreign(view, broker, ANNOTATION_EVENTS, Health())
    assert await broker.last_offset(ANNOTATION_EVENTS) is None
    assert view.position is None
    view.close()


@pytest.mark.parametrize(("known", "kept"), [(5, 5), (2, 2), (None, None)], ids=["more", "less", "nothing"])
async def test_a_stream_that_lost_its_beginning_is_said_and_the_view_that_knows_it_is_kept(tmp_path, known, kept):
    broker, view, health = MemoryBroker(), AnnotationView(tmp_path / "view.sqlite"), Health()
    await broker.ensure_stream(ANNOTATION_EVENTS)
    publisher = broker.publisher(ANNOTATION_EVENTS, "test")
    await publisher.publish([(number + 1, settled(number).to_message()) for number in range(6)])
    if known is not None:
        view.apply(known, settled(known))
    broker.evict(ANNOTATION_EVENTS, 4)
    await discard_if_foreign(view, broker, ANNOTATION_EVENTS, health)
    assert view.position == kept
    assert "before offset 4 was removed" in health.report()["degraded"][ANNOTATION_EVENTS]
    view.close()
