"""What a stream that may not overrule people can do: a model's proposals."""

from __future__ import annotations

from typing import Any

import pytest

from labelstream.events.annotation import Outcome
from labelstream.view import AnnotationView

from .test_domain import Story, content, said

MODEL: dict[str, Any] = {"may_validate": False, "may_overrule": False}


@pytest.fixture
def story(tmp_path: Any) -> Story:
    return Story(AnnotationView(tmp_path / "view.sqlite"))


def propose(story: Story, key: str, x: float = 0.5, kind: str = "created") -> Outcome:
    return story.tell(said(kind, key, source="ai"), content(x), **MODEL)


def shown(story: Story) -> Any:
    return story.view.entry("default", "a")


def test_a_proposal_is_recorded_unvalidated_whatever_it_says(story: Story) -> None:
    outcome = story.tell(said("created", "p1", source="ai", validated=True), content(), **MODEL)
    assert (outcome.outcome, outcome.validated) == ("recorded", False)
    assert shown(story).annotation.source == "ai"


def test_a_proposal_takes_the_place_of_an_older_one(story: Story) -> None:
    propose(story, "p1")
    assert propose(story, "p2", x=0.6).outcome == "edited"
    assert propose(story, "p3", x=0.6).outcome == "duplicated"
    assert shown(story).revision == 2


@pytest.mark.parametrize("kind", ["created", "edited"])
def test_what_a_person_validated_stays_as_it_is(story: Story, kind: str) -> None:
    propose(story, "p1")
    story.tell(said("validated", "v1"))
    before = shown(story)
    for x in (0.5, 0.6):
        outcome = propose(story, f"p{x}", x, kind)
        assert (outcome.outcome, outcome.validated, outcome.revision) == ("superseded", True, 2)
    assert shown(story) == before


def test_what_a_person_corrected_stays_as_it_is(story: Story) -> None:
    propose(story, "p1")
    story.edited("e1", x=0.7, validated=False)
    before = shown(story)
    assert propose(story, "p2", x=0.6).outcome == "superseded"
    assert shown(story) == before


def test_what_a_person_deleted_does_not_come_back(story: Story) -> None:
    propose(story, "p1")
    story.tell(said("deleted", "d1"))
    assert propose(story, "p2").outcome == "superseded"
    assert shown(story).deleted


def test_an_image_that_came_without_boxes_gets_those_of_the_model(story: Story) -> None:
    bare = content()
    story.tell(said("created", "c1", validated=False), type(bare)(bare.image, type(bare.checked)((), ())))
    assert propose(story, "p1").outcome == "edited"


def test_a_person_can_change_what_a_model_proposed(story: Story) -> None:
    propose(story, "p1")
    assert story.edited("e1", x=0.7).outcome == "edited"
    assert shown(story).validated


def test_proposals_delete_proposals_but_nothing_of_people(story: Story) -> None:
    propose(story, "p1")
    story.tell(said("validated", "v1"))
    assert story.tell(said("deleted", "d1"), **MODEL).outcome == "superseded"
    assert not shown(story).deleted
    story.tell(said("edited", "e1", validated=False, source="ai"), content(0.3))
    assert story.tell(said("deleted", "d2"), **MODEL).outcome == "deleted"
