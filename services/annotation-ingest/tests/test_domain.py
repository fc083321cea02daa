from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from annotation_ingest.decisions.holding import settle_all
from annotation_ingest.decisions.trust import Trust
from annotation_ingest.domain import Content, Decider, Decision
from annotation_ingest.rules import check_boxes
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.annotation import AnnotationSettled, ImageRef, Note, Outcome
from labelstream.events.envelope import Envelope
from labelstream.values import Position, sha256_hex
from labelstream.view import AnnotationView
from labelstream.wire.submission import RawBox, Submission

SCHEMA = ClassSchema(name="roads", classes=("car", "truck"))


class Story:
    """Tells a view one message after the other."""

    def __init__(self, view: AnnotationView) -> None:
        self.view = view
        self.offset = -1
        self.last = Decision(())

    def tell(self, submission: Submission, content: Content | None = None, **rights: Any) -> Outcome:
        """Decide the message, fold its receipt, and return the outcome of its only name."""
        trust = Trust("in", "default", SCHEMA, **rights)
        self.last = Decider(self.view, trust).decide(submission, content)
        self._fold(submission, self.last)
        (outcome,) = self.last.outcomes
        return outcome

    def refuse(self, key: str) -> Position:
        """Let a message be refused; return where it stood."""
        rejected = Outcome(name="a", outcome="rejected")
        self._fold(said("created", key), Decision((rejected,)))
        return Position(stream="in", offset=self.offset * 10)

    def _fold(self, submission: Submission, decision: Decision) -> None:
        self.offset += 1
        event = AnnotationSettled(
            input=Position(stream="in", offset=self.offset * 10),
            message_key=submission.message_key,
            wire="native",
            asked=submission.kind,
            outcomes=decision.outcomes,
            settles=decision.settles,
            class_schema=decision.class_schema,
        )
        self.view.apply(self.offset, Envelope.of(event, source="test", answers=str(self.offset), project="default"))

    def created(self, key: str, x: float = 0.5, validated: bool = True, **more: Any) -> Outcome:
        return self.tell(said("created", key, validated=validated), content(x), **more)

    def edited(self, key: str, x: float = 0.5, validated: bool = True, **more: Any) -> Outcome:
        return self.tell(said("edited", key, validated=validated), content(x, image=None), **more)

    def settled(self) -> list[tuple[str, str, int]]:
        """Return (asked, outcome, message) of what the last message settled."""
        return [(one.asked, one.outcome, one.input.offset // 10) for one in self.last.settles]


def said(kind: Any, key: str, **more: Any) -> Submission:
    return Submission(**{"kind": kind, "wire": "native", "names": ("a",), "message_key": key, **more})


def content(x: float = 0.5, image: str | None = "image", cls: int | str = "car", **more: Any) -> Content:
    ref = None
    if image is not None:
        digest = sha256_hex(image.encode())
        ref = ImageRef(key=f"k/{digest}.png", sha256=digest, size_bytes=5, format="png", width=9, height=9)
    return Content(ref, check_boxes([RawBox(cls=cls, x=x, y=0.5, w=0.1, h=0.1)], tolerance=0.01), **more)


def schema(*classes: str, version: int = 1) -> Submission:
    wanted = ClassSchema(name="roads", version=version, classes=classes)
    return said("schema_changed", f"{classes} {version}", names=(), class_schema=wanted)


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


def test_an_edit_keeps_the_tags_that_it_does_not_speak_of(story: Story) -> None:
    story.tell(said("created", "1", tags=("night",)), content(0.5))
    assert story.edited("2", x=0.6).annotation.tags == ("night",)  # type: ignore[union-attr]  # None would fail too
    assert story.tell(said("edited", "3", tags=("day",)), content(0.6, image=None)).outcome == "edited"


def test_what_was_noted_stands_in_the_outcome(story: Story) -> None:
    note = Note(rule="image.cmyk", reason="it is CMYK")
    outcome = story.tell(said("created", "1"), content(0.952, notes=(note,)))
    assert [one.rule for one in outcome.notes] == ["image.cmyk", "box.clamped"]


# ---- what comes before its creation


def test_an_edit_that_comes_first_is_held_and_done_to_its_creation(story: Story) -> None:
    held = story.edited("1", x=0.7, validated=False)
    assert (held.outcome, held.validated, held.annotation) == ("held", False, None)
    outcome = story.created("2", x=0.5, validated=True)
    assert (outcome.outcome, outcome.revision, outcome.validated) == ("recorded", 1, False)
    assert outcome.annotation is not None
    assert [shape.x for shape in outcome.annotation.shapes] == [0.7]
    assert story.settled() == [("edited", "edited", 0)]
    assert story.view.held("default", "a") == []


def test_a_held_edit_takes_the_place_of_a_validation_before_it_and_not_of_one_behind_it(story: Story) -> None:
    story.tell(said("validated", "1"))
    story.edited("2", x=0.7, validated=False)
    assert story.settled() == [("validated", "superseded", 0)]
    assert story.tell(said("validated", "3")).outcome == "held"
    assert story.created("4", validated=False).validated is True
    assert story.settled() == [("edited", "edited", 1), ("validated", "validated", 2)]


def test_a_held_edit_is_told_what_was_noted(story: Story) -> None:
    assert [one.rule for one in story.edited("1", x=0.952).notes] == ["box.clamped"]


STEPS: dict[str, Any] = {
    "validate": lambda story, key: story.tell(said("validated", key)),
    "delete": lambda story, key: story.tell(said("deleted", key)),
    "edit": lambda story, key: story.edited(key, x=0.7, validated=False),
    "edit, validated": lambda story, key: story.edited(key, x=0.8, validated=True),
}


@pytest.mark.parametrize("steps", list(product(STEPS, repeat=3)), ids=" - ".join)
@pytest.mark.parametrize("validated", [True, False], ids=["validated", "raw"])
def test_what_comes_before_its_creation_ends_as_what_comes_behind_it(
    tmp_path: Path, steps: tuple[str, ...], validated: bool
) -> None:
    ends = []
    for at in (0, len(steps)):
        view = AnnotationView(tmp_path / f"{at}.sqlite")
        story = Story(view)
        for number, step in enumerate(steps):
            if number == at:
                story.created("first", validated=validated)
            STEPS[step](story, str(number))
        if at == len(steps):
            story.created("first", validated=validated)
        assert view.held("default", "a") == []
        entry = view.entry("default", "a")
        ends.append((entry.validated, entry.annotation) if entry is not None and not entry.deleted else None)
        view.abandon()
    assert ends[0] == ends[1]


def test_a_second_held_edit_takes_the_place_of_the_first(story: Story) -> None:
    story.edited("1", x=0.7)
    story.edited("2", x=0.8)
    assert story.settled() == [("edited", "superseded", 0)]
    outcome = story.created("3")
    assert outcome.annotation is not None
    assert [shape.x for shape in outcome.annotation.shapes] == [0.8]
    assert story.settled() == [("edited", "edited", 1)]


def test_a_second_held_validation_says_nothing_new(story: Story) -> None:
    story.tell(said("validated", "1"))
    outcome = story.tell(said("validated", "2"))
    assert (outcome.outcome, outcome.repeats) == ("duplicated", Position(stream="in", offset=0))


def test_an_edit_that_brings_its_image_records_and_the_late_creation_is_superseded(story: Story) -> None:
    assert story.tell(said("edited", "1", validated=True), content(0.6)).outcome == "recorded"
    late = story.created("2", x=0.5)
    assert (late.outcome, late.revision) == ("superseded", 1)
    assert story.created("3", x=0.9).outcome == "edited"


def test_a_late_creation_does_not_bring_back_what_was_edited_and_deleted_before_it(story: Story) -> None:
    story.tell(said("edited", "1"), content(0.6))
    story.tell(said("deleted", "2"))
    assert story.created("3").outcome == "superseded"


def test_an_edit_with_an_image_does_not_use_up_a_held_deletion(story: Story) -> None:
    story.tell(said("deleted", "1"))
    assert story.tell(said("edited", "2"), content(0.6)).outcome == "superseded"
    assert story.created("3").outcome == "superseded"
    assert story.settled() == [("deleted", "deleted", 0)]


def test_everything_that_was_held_for_a_deleted_annotation_is_superseded_with_it(story: Story) -> None:
    story.tell(said("validated", "1"))
    story.edited("2", x=0.7)
    story.tell(said("validated", "3"))
    story.tell(said("deleted", "4"))
    assert story.created("5").outcome == "superseded"
    assert story.settled() == [("edited", "superseded", 1), ("validated", "superseded", 2), ("deleted", "deleted", 3)]


def test_held_messages_expire_after_so_many_later_messages_of_the_project(story: Story) -> None:
    story.tell(said("validated", "1"))
    for number in range(2):
        story.tell(said("created", f"b{number}", names=(f"b{number}",)), content())
    assert story.view.expired("default", after=3, most=5) == []
    story.tell(said("created", "c", names=("c",)), content())
    (late,) = story.view.expired("default", after=3, most=5)
    assert (late.name, late.asked, late.input.offset) == ("a", "validated", 0)
    assert [one.outcome for one in settle_all([late], "expired")] == ["expired"]
    assert story.view.expired("other", after=0, most=5) == []


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


# ---- trust


def test_an_untrusted_input_records_but_does_not_validate(story: Story) -> None:
    assert story.created("1", may_validate=False).validated is False
    with pytest.raises(Rejected, match=r"trust\.may_not_validate"):
        story.tell(said("validated", "2"), may_validate=False)


def test_a_role_in_a_message_lowers_the_trust_of_its_stream(story: Story) -> None:
    assert story.created("1", validated=False, may_validate=True).validated is False


def test_an_image_beyond_the_quota_is_refused_and_one_that_is_there_already_is_not(story: Story) -> None:
    story.tell(said("created", "1"), content(), image_bytes=9)
    with pytest.raises(Rejected, match=r"quota\.image_bytes: 5 bytes"):
        story.tell(said("created", "2", names=("b",)), content(image="another"), image_bytes=9)
    assert story.tell(said("created", "3", names=("c",)), content(), image_bytes=9).outcome == "recorded"
    assert (
        story.tell(said("created", "4", names=("b",)), content(image="another"), image_bytes=10).outcome == "recorded"
    )


# ---- replays


def test_a_replay_applies_when_nothing_newer_was_settled(story: Story) -> None:
    story.created("1", x=0.5)
    refused = story.refuse("2")
    outcome = story.tell(said("created", "2", replays=refused), content(0.6))
    assert (outcome.outcome, outcome.revision) == ("edited", 2)


def test_a_replay_is_superseded_when_something_newer_was_settled(story: Story) -> None:
    refused = story.refuse("1")
    story.created("2", x=0.5)
    outcome = story.tell(said("created", "1", replays=refused), content(0.6))
    assert (outcome.outcome, outcome.revision) == ("superseded", 1)


def test_what_waits_for_a_refused_creation_does_not_overtake_its_replay(story: Story) -> None:
    refused = story.refuse("1")
    story.tell(said("validated", "2"))
    outcome = story.tell(said("created", "1", replays=refused, validated=False), content(0.6))
    assert (outcome.outcome, outcome.validated) == ("recorded", True)
    assert story.settled() == [("validated", "validated", 1)]


def test_a_replayed_edit_is_overtaken_by_one_that_is_held(story: Story) -> None:
    refused = story.refuse("1")
    story.edited("2", x=0.7)
    assert story.tell(said("edited", "1", replays=refused), content(0.6, image=None)).outcome == "superseded"


def test_each_name_of_a_replayed_bulk_message_is_judged_alone(story: Story) -> None:
    story.created("1", validated=False)
    story.tell(said("created", "2", names=("b",)), content(image="b"))
    refused = story.refuse("3")
    story.edited("4", x=0.7, validated=False)
    bulk = said("deleted", "3", names=("a", "b"), replays=refused)
    decision = Decider(story.view, Trust("in", "default", SCHEMA)).decide(bulk, None)
    assert [(one.name, one.outcome) for one in decision.outcomes] == [("a", "superseded"), ("b", "deleted")]


def test_what_claims_to_replay_a_message_that_never_was_is_an_ordinary_message(story: Story) -> None:
    story.created("1", x=0.5)
    nowhere = Position(stream="in", offset=7)
    assert story.tell(said("created", "2", replays=nowhere), content(0.6)).outcome == "edited"


# ---- the class schema


def test_a_class_of_a_newer_schema_is_refused_until_the_schema_is_there(story: Story) -> None:
    with pytest.raises(Rejected, match=r"class\.unknown"):
        story.tell(said("created", "1"), content(cls="boat"))
    assert story.tell(schema("car", "truck", "boat"), may_change_schema=True).outcome == "recorded"
    assert story.last.class_schema == ClassSchema(name="roads", version=2, classes=("car", "truck", "boat"))
    outcome = story.tell(said("created", "1"), content(cls="boat"))
    assert outcome.annotation is not None
    assert [shape.class_id for shape in outcome.annotation.shapes] == [2]
    assert outcome.annotation.schema_digest == story.view.class_schema("default").digest  # type: ignore[union-attr]  # None would fail too


def test_a_schema_that_is_there_is_duplicated_and_an_older_one_superseded(story: Story) -> None:
    story.tell(schema("car", "truck", "boat"), may_change_schema=True)
    assert story.tell(schema("car", "truck", "boat", version=9), may_change_schema=True).outcome == "duplicated"
    assert story.tell(schema("car"), may_change_schema=True).outcome == "superseded"
    assert story.view.class_schema("default", at=story.offset).classes == ("car", "truck", "boat")  # type: ignore[union-attr]  # None would fail too


def test_a_schema_that_gives_an_id_another_meaning_is_refused(story: Story) -> None:
    with pytest.raises(Rejected, match=r"schema\.not_append_only: class 1 is 'truck', and would become 'boat'"):
        story.tell(schema("car", "boat", "truck"), may_change_schema=True)


def test_only_a_stream_that_may_changes_the_schema(story: Story) -> None:
    with pytest.raises(Rejected, match=r"trust\.may_not_change_schema"):
        story.tell(schema("car", "truck", "boat"))


def test_a_name_that_stands_twice_in_a_message_has_one_outcome(view: AnnotationView) -> None:
    words = Submission(kind="validated", wire="native", names=("b", "a", "b"), message_key="1")
    decision = Decider(view, Trust("in", "default", SCHEMA)).decide(words, None)
    assert [outcome.name for outcome in decision.outcomes] == ["b", "a"]
