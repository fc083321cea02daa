from __future__ import annotations

from typing import Any

import pytest

from augmenter.batching import Batching
from augmenter.domain import Limits
from labelstream.events.annotation import Annotation, AnnotationSettled, Outcome
from labelstream.events.envelope import Envelope
from labelstream.values import Position

DEFAULT = Limits()


def settled(*outcomes: Outcome, project: str = "default") -> Envelope:
    event = AnnotationSettled(
        input=Position(stream="annotations", offset=0), message_key="k", wire="native", outcomes=outcomes
    )
    return Envelope.of(event, source="test", answers="x", project=project)


def batching(limits: Limits = DEFAULT, known: dict[str, Annotation] | None = None, done: Any = ()) -> Batching:
    return Batching("default", 0, limits, lambda name, _: (known or {}).get(name), lambda content: content in done)


def test_what_becomes_validated_is_collected_and_nothing_else(scene: Any) -> None:
    batch = batching(known={"c": scene(3).annotation()})
    batch.add(0, settled(Outcome(name="a", outcome="recorded", validated=True, annotation=scene(1).annotation())), 0)
    batch.add(1, settled(Outcome(name="b", outcome="recorded", validated=False, annotation=scene(2).annotation())), 0)
    batch.add(3, settled(Outcome(name="c", outcome="validated", validated=True)), 0)
    batch.add(4, settled(Outcome(name="a", outcome="deleted", validated=False)), 0)
    batch.add(5, settled(Outcome(name="d", outcome="duplicated", validated=True)), 0)
    batch.add(6, settled(Outcome(name="e", outcome="held", validated=True)), 0)
    batch.add(7, settled(Outcome(name="a", outcome="edited", validated=True, annotation=scene(4).annotation())), 0)
    other = Outcome(name="a", outcome="recorded", validated=True, annotation=scene(5).annotation())
    batch.add(8, settled(other, project="other"), 0)
    batch.add(9, None, 0)
    closed = batch.close()
    assert [(s.name, s.offset, s.image) for s in closed.samples] == [
        ("a", 0, scene(1).image),
        ("c", 3, scene(3).image),
        ("a", 7, scene(4).image),
    ]
    assert (closed.first, closed.last) == (0, 9)


def test_content_that_was_augmented_or_stands_in_the_batch_is_passed_over(scene: Any) -> None:
    one, two = scene(1).annotation(), scene(2).annotation()
    batch = batching(done={(one.image.sha256, one.labels)})
    for offset, annotation in enumerate([one, two, two]):
        batch.add(
            offset, settled(Outcome(name=f"n{offset}", outcome="recorded", validated=True, annotation=annotation)), 0
        )
    assert [s.name for s in batch.close().samples] == ["n1"]


def test_a_batch_is_full_by_count_or_by_bytes(scene: Any) -> None:
    size = scene(1).image.size_bytes
    for limits, full_after in [(Limits(count=2), 2), (Limits(size_bytes=size * 3 - 100), 3)]:
        batch = batching(limits)
        for n in range(full_after):
            assert not batch.is_full
            annotation = scene(1).annotation().model_copy(update={"labels": f"{n:064x}"})
            batch.add(n, settled(Outcome(name="a", outcome="recorded", validated=True, annotation=annotation)), 0)
        assert batch.is_full


def test_a_batch_grows_old_from_its_first_event_even_with_nothing_in_it() -> None:
    batch = batching(Limits(age_s=5))
    assert batch.closes_in_s(100) is None
    batch.add(4, None, 100)
    batch.add(6, None, 103)
    assert batch.closes_in_s(103) == 2
    assert batch.closes_in_s(106) == 0
    assert (batch.close().first, batch.first) == (0, 7)
    assert batch.closes_in_s(106) is None


def test_a_validation_of_something_never_recorded_is_a_fault_of_ours() -> None:
    with pytest.raises(RuntimeError, match="never recorded"):
        batching().add(0, settled(Outcome(name="a", outcome="validated", validated=True)), 0)
