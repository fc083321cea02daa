from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from labelstream_datasets.splits import Ratios, split_of

DEFAULT = Ratios()


def test_a_medium_keeps_its_split_whatever_else_there_is() -> None:
    assert [split_of("default", f"photo-{n}", "s", DEFAULT) for n in range(8)] == [
        split_of("default", f"photo-{n}", "s", DEFAULT) for n in range(8)
    ]


def test_the_shares_are_about_the_ratios() -> None:
    drawn = [split_of("default", f"photo-{n}", "s", DEFAULT) for n in range(10_000)]
    assert drawn.count("train") == pytest.approx(7000, abs=200)
    assert drawn.count("val") == pytest.approx(2000, abs=200)
    assert drawn.count("test") == pytest.approx(1000, abs=150)


def test_project_and_salt_deal_anew() -> None:
    dealt = [
        [split_of(project, f"m{n}", salt, DEFAULT) for n in range(200)]
        for project, salt in [("a", "s"), ("b", "s"), ("a", "t")]
    ]
    assert dealt[0] != dealt[1]
    assert dealt[0] != dealt[2]


@given(st.text(), st.sampled_from(["train", "val", "test"]))
def test_a_published_split_wins(medium: str, published: str) -> None:
    assert split_of("default", medium, "s", DEFAULT, published) == published  # type: ignore[arg-type]


def test_a_medium_of_the_test_split_stays_there_when_the_test_share_grows() -> None:
    wider = Ratios(train=0.5, val=0.2, test=0.3)
    for n in range(500):
        if split_of("default", f"m{n}", "s", DEFAULT) == "test":
            assert split_of("default", f"m{n}", "s", wider) == "test"


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValidationError, match="add up to 1"):
        Ratios(train=0.9, val=0.2, test=0.1)
