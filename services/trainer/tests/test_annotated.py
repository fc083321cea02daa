"""A training says when the newest annotation came that its dataset knows of, and its end says so again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.streams.memory import MemoryBroker
from labelstream.view import AnnotationView
from trainer.deciding.annotated import Annotated

from .deeds import train


@pytest.fixture
def view(tmp_path: Path) -> Iterator[AnnotationView]:
    view = AnnotationView(tmp_path / "annotated.sqlite")
    yield view
    view.close()


async def receipts(broker: MemoryBroker, view: AnnotationView, *said: Envelope) -> Annotated:
    """Store one receipt a second, from second 1000 on, and read all of them into the view."""
    await broker.ensure_stream(ANNOTATION_EVENTS)
    for number, envelope in enumerate(said):
        timed = replace(envelope, time_ms=1_000_000 + 1000 * number)
        await broker.publisher(ANNOTATION_EVENTS, "ingest").publish([(number + 1, timed.to_message())])
        view.apply(await broker.last_offset(ANNOTATION_EVENTS) or 0, timed)
    return Annotated(view, broker)


async def test_it_is_the_newest_validated_one_up_to_the_cut(view, annotations) -> None:
    seen = annotations.recorded("c", "train").model_copy(update={"validated": False})
    outcomes = (annotations.recorded("a", "train"), annotations.recorded("b", "train"), seen)
    said = (annotations.settled(number, outcome) for number, outcome in enumerate(outcomes))
    found = await receipts(MemoryBroker(), view, *said)
    assert [await found.newest_ms("default", cut) for cut in (-1, 0, 1, 2, 99)] == [
        None, 1_000_000, 1_001_000, 1_001_000, 1_001_000,
    ]  # fmt: skip


async def test_another_projects_annotations_count_for_nothing(view, annotations) -> None:
    projects = ("default", "harbour")
    said = (
        annotations.settled(number, annotations.recorded(name, "train"), project=name)
        for number, name in enumerate(projects)
    )
    found = await receipts(MemoryBroker(), view, *said)
    assert [await found.newest_ms(name, 99) for name in (*projects, "nobody")] == [1_000_000, 1_001_000, None]


async def test_a_receipt_that_is_gone_says_nothing(view, annotations) -> None:
    broker = MemoryBroker()
    said = (annotations.settled(number, annotations.recorded("a", "train")) for number in (0, 1))
    found = await receipts(broker, view, *said)
    broker.evict(ANNOTATION_EVENTS, 1)
    assert await found.newest_ms("default", 0) is None


async def test_the_request_and_the_end_of_a_training_say_it(trainer) -> None:
    async def known(project: str, cut: int) -> int | None:
        return 1_700_000_000_000 + cut if project == "default" else None

    trainer.annotated_ms = known
    cut = trainer.annotate()
    await trainer.ask(cut)
    await (await trainer.started()).tick()
    await trainer.until_ended(train)
    events = trainer.events()
    assert [events[0].annotated_ms, events[-1].annotated_ms] == [1_700_000_000_000 + cut] * 2
