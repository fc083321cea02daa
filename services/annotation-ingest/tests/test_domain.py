from __future__ import annotations

from typing import Any

import pytest

from annotation_ingest.domain import Content, Decider, Trust
from labelstream.errors import Rejected
from labelstream.events.annotation import AnnotationSettled, ImageRef, Outcome
from labelstream.events.envelope import Envelope
from labelstream.labels import Box
from labelstream.values import Position, sha256_hex
from labelstream.view import AnnotationView
from labelstream.wire.submission import Submission

SCHEMA = sha256_hex(b"schema")


class Story:
    """Tells a view one message after the other."""

    def __init__(self, view: AnnotationView) -> None:
        self.view = view
        self.offset = -1

    def tell(self, submission: Submission, content: Content | None = None, *, may_validate: bool = True) -> Outcome:
        """Decide the message, fold its receipt, and return the outcome of its only name."""
        outcomes = Decider(self.view, Trust("default", may_validate, SCHEMA)).decide(submission, content)
        self.offset += 1
        event = AnnotationSettled(
            input=Position(stream="in", offset=self.offset * 10),
            message_key=submission.message_key,
            wire="native",
            outcomes=outcomes,
        )
        self.view.apply(self.offset, Envelope.of(event, source="test", answers=str(self.offset), project="default"))
        (outcome,) = outcomes
        return outcome

    def created(self, key: str, x: float = 0.5, validated: bool = True, **more: Any) -> Outcome:
        return self.tell(said("created", key, validated=validated), content(x), **more)

    def edited(self, key: str, x: float = 0.5, validated: bool = True, **more: Any) -> Outcome:
        return self.tell(said("edited", key, validated=validated), content(x, image=None), **more)


def said(kind: Any, key: str, **more: Any) -> Submission:
    return Submission(kind=kind, wire="native", names=("a",), message_key=key, **more)


def content(x: float = 0.5, image: str | None = "image") -> Content:
    ref = None
    if image is not None:
        digest = sha256_hex(image.encode())
        ref = ImageRef(key=f"k/{digest}.png", sha256=digest, size_bytes=5, format="png", width=9, height=9)
    return Content(ref, (Box(class_id=0, x=x, y=0.5, w=0.1, h=0.1),))


@pytest.fixture
def story(view: AnnotationView) -> Story:
    return Story(view)


def test_a_creation_is_recorded_as_the_first_revision(story: Story) -> None:
    outcome = story.created("1")
    assert (outcome.outcome, outcome.revision, outcome.validated) == ("recorded", 1, True)


def test_a_medium_that_nobody_named_is_the_annotation_itself(story: Story) -> None:
    outcome = story.created("1")
    assert outcome.annotation is not None
    assert outcome.annotation.medium == "a"


def test_the_same_content_under_another_id_is_duplicated(story: Story) -> None:
    story.created("1")
    outcome = story.created("2")
    assert (outcome.outcome, outcome.repeats) == ("duplicated", Position(stream="in", offset=0))


def test_an_old_delivery_does_not_take_an_annotation_back(story: Story) -> None:
    story.created("1", x=0.5)
    story.edited("2", x=0.6)
    outcome = story.created("1", x=0.5)
    assert (outcome.outcome, outcome.revision, outcome.repeats) == ("duplicated", 2, Position(stream="in", offset=0))


def test_other_content_under_the_same_name_is_an_edit(story: Story) -> None:
    story.created("1", x=0.5)
    outcome = story.created("2", x=0.6, validated=False)
    assert (outcome.outcome, outcome.revision, outcome.validated) == ("edited", 2, False)


def test_the_same_content_sent_as_validated_validates(story: Story) -> None:
    story.created("1", validated=False)
    outcome = story.created("2", validated=True)
    assert (outcome.outcome, outcome.revision, outcome.validated) == ("validated", 2, True)


def test_a_second_creation_never_takes_validation_away_but_an_edit_may(story: Story) -> None:
    story.created("1")
    assert story.created("2", validated=False).outcome == "duplicated"
    outcome = story.edited("3", validated=False)
    assert (outcome.outcome, outcome.revision, outcome.validated) == ("unvalidated", 2, False)


def test_an_edit_keeps_image_and_medium(story: Story) -> None:
    story.tell(said("created", "1", medium="film", split="val"), content(0.5))
    outcome = story.edited("2", x=0.6)
    assert outcome.annotation is not None
    assert outcome.annotation.image == content().image
    assert (outcome.annotation.medium, outcome.annotation.split) == ("film", "val")


def test_an_edit_of_what_was_never_recorded_needs_an_image(story: Story) -> None:
    with pytest.raises(Rejected, match=r"annotation\.unknown"):
        story.edited("1")
    assert story.tell(said("edited", "2"), content()).outcome == "recorded"


def test_a_validation_that_comes_first_waits_for_its_creation(story: Story) -> None:
    held = story.tell(said("validated", "1"))
    assert (held.outcome, held.validated) == ("held", True)
    assert story.created("2", validated=False).validated is True


def test_a_deletion_that_comes_first_supersedes_its_creation_once(story: Story) -> None:
    assert story.tell(said("deleted", "1")).outcome == "held"
    assert story.created("2").outcome == "superseded"
    assert story.created("3").outcome == "recorded"


def test_what_was_deleted_can_be_deleted_again_in_vain_and_created_anew(story: Story) -> None:
    story.created("1")
    assert story.tell(said("deleted", "2")).revision == 2
    assert story.tell(said("deleted", "3")).outcome == "duplicated"
    assert story.tell(said("validated", "4")).outcome == "superseded"
    assert story.edited("5", x=0.7).outcome == "superseded"
    again = story.created("6")
    assert (again.outcome, again.revision) == ("recorded", 3)


def test_words_without_an_id_or_a_date_may_be_said_twice(story: Story) -> None:
    story.created("1", validated=False)
    words = said("validated", "same words", anonymous=True)
    assert story.tell(words).outcome == "validated"
    story.edited("2", x=0.6, validated=False)
    assert story.tell(words).outcome == "validated"
    story.edited("3", x=0.7, validated=False)
    assert story.tell(said("validated", "same words")).outcome == "duplicated"


def test_an_untrusted_input_records_but_does_not_validate(story: Story) -> None:
    assert story.created("1", may_validate=False).validated is False
    with pytest.raises(Rejected, match=r"trust\.may_not_validate"):
        story.tell(said("validated", "2"), may_validate=False)


def test_a_name_that_stands_twice_in_a_message_has_one_outcome(view: AnnotationView) -> None:
    words = Submission(kind="validated", wire="native", names=("b", "a", "b"), message_key="1")
    outcomes = Decider(view, Trust("default", may_validate=True, schema_digest=SCHEMA)).decide(words, None)
    assert [outcome.name for outcome in outcomes] == ["b", "a"]
