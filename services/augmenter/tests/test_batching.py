from __future__ import annotations

from typing import Any

from augmenter.batching import Batching
from augmenter.domain import Limits
from labelstream.events.annotation import Annotation, AnnotationErased, AnnotationSettled, Outcome
from labelstream.events.envelope import Envelope
from labelstream.values import Position
from labelstream_datasets.archives.erased import Erasure

DEFAULT = Limits()


def settled(*outcomes: Outcome, project: str = "default") -> Envelope:
    event = AnnotationSettled(
        input=Position(stream="annotations", offset=0), message_key="k", wire="native", outcomes=outcomes
    )
    return Envelope.of(event, source="test", answers="x", project=project)


def erased(*images: str, kept: tuple[str, ...] = (), project: str = "default") -> Envelope:
    event = AnnotationErased(
        input=Position(stream="annotations", offset=0), message_key="k", names=("x",), images=images, kept_images=kept
    )
    return Envelope.of(event, source="test", answers="x", project=project)


class Anything(dict[str, Annotation]):
    """What the view knows, for tests that erase nothing: whatever is asked for."""

    def __init__(self, some: Annotation, **known: Annotation) -> None:
        super().__init__(known)
        self._some = some

    def __missing__(self, name: str) -> Annotation:
        return self._some


def batching(known: dict[str, Annotation], limits: Limits = DEFAULT, done: Any = ()) -> Batching:
    def content_at(name: str, _offset: int) -> Annotation | None:
        try:
            return known[name]
        except KeyError:
            return None

    return Batching("default", 0, limits, content_at, lambda content: content in done)


def test_what_becomes_validated_is_collected_and_nothing_else(scene: Any) -> None:
    batch = batching(Anything(scene(9).annotation(), c=scene(3).annotation()))
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
    batch = batching(Anything(one), done={(one.image.sha256, one.labels)})
    for offset, annotation in enumerate([one, two, two]):
        batch.add(
            offset, settled(Outcome(name=f"n{offset}", outcome="recorded", validated=True, annotation=annotation)), 0
        )
    assert [s.name for s in batch.close().samples] == ["n1"]


def test_a_batch_is_full_by_count_or_by_bytes(scene: Any) -> None:
    size = scene(1).image.size_bytes
    for limits, full_after in [(Limits(count=2), 2), (Limits(size_bytes=size * 3 - 100), 3)]:
        batch = batching(Anything(scene(1).annotation()), limits)
        for n in range(full_after):
            assert not batch.is_full
            annotation = scene(1).annotation().model_copy(update={"labels": f"{n:064x}"})
            batch.add(n, settled(Outcome(name="a", outcome="recorded", validated=True, annotation=annotation)), 0)
        assert batch.is_full


def test_a_batch_grows_old_from_its_first_event_even_with_nothing_in_it() -> None:
    batch = batching({}, Limits(age_s=5))
    assert batch.closes_in_s(100) is None
    batch.add(4, None, 100)
    batch.add(6, None, 103)
    assert batch.closes_in_s(103) == 2
    assert batch.closes_in_s(106) == 0
    assert (batch.close().first, batch.first) == (0, 7)
    assert batch.closes_in_s(106) is None


def test_what_the_view_knows_to_be_erased_is_left_out_with_its_content_if_that_is_told(scene: Any) -> None:
    batch = batching({})
    batch.add(0, settled(Outcome(name="a", outcome="recorded", validated=True, annotation=scene(1).annotation())), 0)
    batch.add(1, settled(Outcome(name="b", outcome="validated", validated=True)), 0)
    closed = batch.close()
    assert closed.samples == ()
    assert [(s.name, s.offset, s.image) for s in closed.erased_samples] == [("a", 0, scene(1).image)]


def test_an_erasure_ends_its_batch_and_takes_out_what_it_erased(scene: Any) -> None:
    batch = batching(Anything(scene(9).annotation()))
    for n in range(3):
        outcome = Outcome(name=f"n{n}", outcome="recorded", validated=True, annotation=scene(n).annotation())
        batch.add(n, settled(outcome), 0)
    batch.add(3, erased(scene(0).image.sha256, project="other"), 0)
    assert not batch.is_full
    gone = scene(1).image.sha256
    batch.add(5, erased(gone), 0)
    assert batch.is_full
    closed = batch.close()
    assert (closed.last, closed.erasure) == (5, Erasure(frozenset([gone])))
    assert [s.name for s in closed.samples] == ["n0", "n2"]
    assert [s.name for s in closed.erased_samples] == ["n1"]
    assert not batch.is_full
    assert (batch.close().erasure, batch.close().erased_samples) == (Erasure(), ())
