"""The pages that are made from code say what the code says."""

from __future__ import annotations

from pathlib import Path

from labelstream.events.document import events_page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_catalogue_of_events_is_the_one_in_the_code():
    assert (DOCS / "events.md").read_text() == events_page(), "run `make docs`"
