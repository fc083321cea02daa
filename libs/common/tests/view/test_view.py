from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from labelstream.events.annotation import Annotation, AnnotationSettled, ImageRef, Outcome
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelWithdrawn
from labelstream.labels import Box, labels_digest
from labelstream.values import Position, sha256_hex
from labelstream.view import AnnotationView, queries

P = "default"


def annotation(image: str = "one", medium: str = "film", split: Any = None, x: float = 0.123457) -> Annotation:
    digest = sha256_hex(image.encode())
    shapes = (Box(class_id=3, x=x, y=0.5, w=0.25, h=1.0, confidence=0.7), Box(class_id=1, x=1 / 3, y=0.5, w=0.1, h=0.1))
    ref = ImageRef(key=f"{P}/images/{digest}.png", sha256=digest, size_bytes=77, format="png", width=640, height=480)
    return Annotation(
        image=ref,
        medium=medium,
        split=split,
        shapes=shapes,
        labels=labels_digest(shapes),
        source="ai",
        schema_digest=sha256_hex(b"schema"),
    )


def settled(at: int, *outcomes: Outcome, key: str | None = None, project: str = P) -> Envelope:
    event = AnnotationSettled(
        input=Position(stream="annotations", offset=at),
        message_key=key or f"key-{at}",
        wire="native",
        outcomes=outcomes,
    )
    return Envelope.of(event, source="test", answers=str(at), project=project)


def recorded(name: str, content: Annotation, validated: bool = True, revision: int = 1) -> Outcome:
    return Outcome(name=name, outcome="recorded", revision=revision, validated=validated, annotation=content)


def changed(name: str, outcome: Any, revision: int, validated: bool | None = None) -> Outcome:
    return Outcome(name=name, outcome=outcome, revision=revision, validated=validated)


def dump(path: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(t, *row) for t in sorted(tables) for row in connection.execute(f"SELECT * FROM {t}")]  # noqa: S608 - names of our own tables


@pytest.fixture
def view(tmp_path: Path) -> AnnotationView:
    return AnnotationView(tmp_path / "view.sqlite")


def test_content_survives_the_round_trip_exactly(view: AnnotationView) -> None:
    content = annotation(split="test", x=0.1 + 0.2)
    view.apply(0, settled(0, recorded("a", content)))
    entry = view.entry(P, "a")
    assert entry is not None
    assert entry.annotation == content
    assert (entry.revision, entry.offset, entry.validated, entry.deleted) == (1, 0, True, False)


def test_an_annotation_can_be_read_as_of_any_offset(view: AnnotationView) -> None:
    view.apply(3, settled(3, recorded("a", annotation(), validated=False)))
    view.apply(5, settled(5, changed("a", "validated", 2, validated=True)))
    view.apply(9, settled(9, changed("a", "deleted", 3)))
    states = [view.entry(P, "a", at) for at in (2, 3, 4, 5, 8, 9)]
    assert states[0] is None
    assert [(s.revision, s.validated, s.deleted) for s in states if s] == [
        (1, False, False),
        (1, False, False),
        (2, True, False),
        (2, True, False),
        (3, False, True),
    ]


def test_the_newest_validated_annotation_stands_for_its_image(view: AnnotationView) -> None:
    view.apply(1, settled(1, recorded("old", annotation("one"))))
    view.apply(2, settled(2, recorded("other", annotation("two"))))
    view.apply(3, settled(3, recorded("new", annotation("one", x=0.4), validated=False)))
    assert [e.name for e in view.validated(P)] == ["old", "other"]
    view.apply(4, settled(4, changed("new", "validated", 2, validated=True)))
    assert [e.name for e in view.validated(P)] == ["new", "other"]
    assert [e.name for e in view.validated(P, at=3)] == ["old", "other"]
    assert [e.name for e in view.validated(P, at=1)] == ["old"]
    view.apply(5, settled(5, changed("new", "unvalidated", 3, validated=False), changed("other", "deleted", 2)))
    assert [e.name for e in view.validated(P)] == ["old"]


def test_names_that_one_message_validates_tie_by_name(view: AnnotationView) -> None:
    for at, name in enumerate(("b", "a", "c")):
        view.apply(at, settled(at, recorded(name, annotation("one"), validated=False)))
    view.apply(3, settled(3, *(changed(name, "validated", 2, validated=True) for name in ("c", "b", "a"))))
    assert [e.name for e in view.validated(P)] == ["a"]


def test_what_was_validated_of_late_is_found_without_a_walk_through_all_annotations(view: AnnotationView) -> None:
    for at in range(3):
        view.apply(at, settled(at, recorded(f"{at}", annotation(f"{at}"), validated=at != 1)))
    assert (view.validations(P, -1), view.validations(P, 0), view.validations("another", -1)) == ([0, 2], [2], [])
    wanted = {"project": P, "after": 1}
    (first, *_) = view._connection.execute(f"EXPLAIN QUERY PLAN {queries.VALIDATIONS}", wanted)
    assert "INDEX validation" in first[3]


def test_an_image_keeps_the_medium_and_split_that_it_was_first_recorded_with(view: AnnotationView) -> None:
    view.apply(1, settled(1, recorded("a", annotation("one", medium="film", split="test"))))
    view.apply(2, settled(2, recorded("b", annotation("one", medium="copy", split="train"))))
    view.apply(3, settled(3, recorded("c", annotation("two", medium="film", split="train"))))
    view.apply(4, settled(4, recorded("d", annotation("three", medium="plain"))))
    view.apply(5, settled(5, recorded("e", annotation("four", medium="plain", split="val"))))
    found = {e.name: (e.annotation.medium, e.annotation.split) for e in view.validated(P)}
    assert found == {"b": ("film", "test"), "c": ("film", "test"), "d": ("plain", None), "e": ("plain", None)}
    assert view.image_medium(P, sha256_hex(b"one")) == "film"
    assert view.image_medium(P, sha256_hex(b"unknown")) is None


def test_an_image_without_a_validated_annotation_is_stood_for_by_the_newest_of_the_others(view: AnnotationView) -> None:
    view.apply(1, settled(1, recorded("validated", annotation("one"))))
    view.apply(2, settled(2, recorded("newer", annotation("one"), validated=False)))
    view.apply(3, settled(3, recorded("draft", annotation("two"), validated=False)))
    view.apply(4, settled(4, recorded("second draft", annotation("two"), validated=False)))
    view.apply(5, settled(5, recorded("third", annotation("three"), validated=False)))
    view.apply(6, settled(6, changed("third", "deleted", 2)))
    standing = [(e.name, e.validated) for e in view.standing(P, unvalidated=True)]
    assert standing == [("validated", True), ("second draft", False)]
    assert [e.name for e in view.standing(P, at=5, unvalidated=True)] == ["validated", "second draft", "third"]
    view.apply(7, settled(7, changed("validated", "unvalidated", 2, validated=False)))
    assert [e.name for e in view.standing(P, unvalidated=True)] == ["validated", "second draft"]
    assert [e.name for e in view.standing(P)] == []


def test_every_medium_that_an_annotation_showed_an_image_of_is_known_even_if_it_is_deleted(
    view: AnnotationView,
) -> None:
    view.apply(1, settled(1, recorded("a", annotation("one", medium="film", split="test"))))
    view.apply(2, settled(2, recorded("b", annotation("one", medium="copy"))))
    view.apply(3, settled(3, recorded("b", annotation("two", medium="copy"))))
    view.apply(4, settled(4, changed("a", "deleted", 2)))
    homes = list(view.homes(P))
    assert [(h.name, h.medium, h.split) for h in homes] == [
        ("a", "film", "test"),
        ("b", "copy", None),
        ("b", "film", "test"),
    ]
    assert [h.name for h in sorted(homes, key=lambda h: h.order)] == ["a", "b", "b"]
    assert [(h.name, h.medium) for h in view.homes(P, at=2)] == [("a", "film"), ("b", "film")]


def test_an_offset_is_folded_once_and_foreign_events_only_move_the_position(view: AnnotationView) -> None:
    assert view.position is None
    view.apply(4, settled(4, recorded("a", annotation())))
    view.apply(4, settled(4, recorded("b", annotation("two"))))
    assert view.entry(P, "b") is None
    withdrawn = ModelWithdrawn.model_construct()
    view.apply(6, Envelope.of(withdrawn, source="test", answers="x", project=P))
    assert view.position == 6
    assert [entry.name for entry in view.validated(P)] == ["a"]


def test_a_settled_message_is_remembered_with_its_place_but_a_refused_one_is_not(view: AnnotationView) -> None:
    view.apply(8, settled(1, recorded("a", annotation()), key="k"))
    view.apply(9, settled(2, Outcome(name="a", outcome="duplicated"), key="k"))
    view.apply(10, settled(3, Outcome(name=None, outcome="rejected"), key="bad"))
    assert view.seen(P, "k") == Position(stream="annotations", offset=1)
    assert view.seen(P, "bad") is None
    assert view.seen("another", "k") is None
    assert view.last_input("annotations") == 3
    assert view.last_input("nowhere") is None
    assert view.input_of(9) == Position(stream="annotations", offset=2)


def test_what_is_foreseen_can_be_seen_and_is_kept_when_it_comes(view: AnnotationView, tmp_path: Path) -> None:
    view.apply(1, settled(1, recorded("a", annotation(), validated=False)))
    coming = [
        settled(2, changed("a", "validated", 2, validated=True), recorded("b", annotation("two"))),
        settled(3, changed("b", "deleted", 2)),
    ]
    with view.foreseeing():
        view.apply(2, coming[0])
        assert view.statuses(P, ["a"])["a"].validated
        view.apply(3, coming[1])
    with pytest.raises(RuntimeError):
        view.commit()
    view.apply(2, coming[0])
    view.apply(3, coming[1])
    view.close()
    again = AnnotationView(tmp_path / "view.sqlite")
    assert (again.position, again.tail) == (3, coming[1].id)
    assert again.statuses(P, ["a", "b", "c"]).keys() == {"a", "b"}
    assert again.statuses(P, ["b"])["b"].deleted


@pytest.mark.parametrize("came", [0, 1], ids=["at once", "after the first"])
def test_what_comes_otherwise_than_foreseen_counts_as_it_came(tmp_path: Path, came: int) -> None:
    foreseen = [settled(at, recorded(f"n{at}", annotation(f"{at}"))) for at in (1, 2)]
    log = [*foreseen[:came], settled(9, recorded("other", annotation("other")))]
    surprised, plain = (AnnotationView(tmp_path / name) for name in ("surprised", "plain"))
    with surprised.foreseeing():
        for at, envelope in enumerate(foreseen, 1):
            surprised.apply(at, envelope)
    for view in (surprised, plain):
        for at, envelope in enumerate(log, 1):
            view.apply(at, envelope)
        view.close()
    assert dump(tmp_path / "surprised") == dump(tmp_path / "plain")


def test_an_offset_that_was_left_out_by_the_stream_is_no_difference_to_what_is_folded(view: AnnotationView) -> None:
    event = settled(1, recorded("a", annotation()))
    with view.foreseeing():
        view.apply(1, event)
    view.apply(4, event)
    assert (view.position, view.entry(P, "a").offset) == (4, 4)  # type: ignore[union-attr]  # None would fail too


def test_what_is_foreseen_first_of_all_is_kept_with_its_position(view: AnnotationView, tmp_path: Path) -> None:
    event = settled(0, recorded("a", annotation()))
    with view.foreseeing():
        view.apply(0, event)
    view.apply(0, event)
    view.close()
    again = AnnotationView(tmp_path / "view.sqlite")
    assert (again.position, again.entry(P, "a") is not None) == (0, True)


def test_foreseeing_nothing_changes_nothing(view: AnnotationView) -> None:
    with view.foreseeing():
        pass
    view.apply(1, settled(1, recorded("a", annotation())))
    view.commit()
    assert view.position == 1


def test_a_look_ahead_that_fails_leaves_no_trace(view: AnnotationView) -> None:
    def look() -> None:
        with view.foreseeing():
            view.apply(1, settled(1, recorded("a", annotation())))
            raise KeyError("on the way")

    with pytest.raises(KeyError):
        look()
    assert view.position is None
    assert view.entry(P, "a") is None


def test_reading_goes_on_undisturbed_while_more_is_folded(view: AnnotationView) -> None:
    for at in range(5):
        view.apply(at, settled(at, recorded(f"n{at}", annotation(f"image {at}"))))
    stream = view.validated(P)
    names = [next(stream).name]
    view.apply(5, settled(5, *(changed(f"n{at}", "deleted", 2) for at in range(5))))
    view.commit()
    assert names + [e.name for e in stream] == ["n0", "n1", "n2", "n3", "n4"]
    assert list(view.validated(P)) == []


def test_a_view_that_was_left_uncommitted_is_folded_again_to_the_same(tmp_path: Path) -> None:
    log = [settled(at, recorded(f"n{at % 3}", annotation(f"image {at}"), revision=at // 3 + 1)) for at in range(7)]
    whole = AnnotationView(tmp_path / "whole.sqlite")
    for at, envelope in enumerate(log):
        whole.apply(at, envelope)
    whole.close()
    torn = AnnotationView(tmp_path / "torn.sqlite")
    for at, envelope in enumerate(log[:3]):
        torn.apply(at, envelope)
    torn.commit()
    for at, envelope in enumerate(log[3:5], 3):
        torn.apply(at, envelope)
    torn._connection.close()  # as a crash would
    again = AnnotationView(tmp_path / "torn.sqlite")
    assert again.position == 2
    for at, envelope in enumerate(log):
        again.apply(at, envelope)
    again.close()
    assert dump(tmp_path / "torn.sqlite") == dump(tmp_path / "whole.sqlite")


def test_projects_do_not_see_each_other(view: AnnotationView) -> None:
    view.apply(1, settled(1, recorded("a", annotation("one", medium="m1"))))
    view.apply(2, settled(2, recorded("a", annotation("one", medium="m2")), project="other"))
    assert [e.annotation.medium for e in view.validated(P)] == ["m1"]
    assert [e.annotation.medium for e in view.validated("other")] == ["m2"]
    assert list(view.validated("third")) == []


def test_a_file_of_another_version_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "view.sqlite"
    view = AnnotationView(path)
    view.apply(1, settled(1, recorded("a", annotation())))
    view.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    assert AnnotationView(path).position is None


def test_a_reset_forgets_everything(view: AnnotationView) -> None:
    view.apply(1, settled(1, recorded("a", annotation())))
    view.reset()
    assert view.position is None
    assert view.entry(P, "a") is None
    view.apply(0, settled(0, recorded("b", annotation())))
    assert view.entry(P, "b") is not None
