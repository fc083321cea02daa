from __future__ import annotations

import pytest

from labelstream.classes import ClassSchema

SCHEMA = ClassSchema(name="s", version=1, classes=("car", "Truck", "cart"))


def test_a_class_is_found_whatever_its_case_and_the_spaces_around_it() -> None:
    assert [SCHEMA.id_of(name) for name in ("CAR", " truck\n", "bus")] == [0, 1, None]


def test_an_extended_copy_knows_its_new_classes() -> None:
    assert SCHEMA.id_of("bus") is None
    assert SCHEMA.model_copy(update={"classes": (*SCHEMA.classes, "bus")}).id_of("bus") == 3


def test_classes_that_look_alike_are_suggested_the_likeliest_first() -> None:
    assert SCHEMA.similar("Cars") == ("car", "cart")
    assert SCHEMA.similar("an ocean liner") == ()


def test_names_that_differ_in_case_or_outer_spaces_alone_are_one_name() -> None:
    with pytest.raises(ValueError, match="stands twice"):
        ClassSchema(name="s", version=1, classes=("car", " CAR"))
