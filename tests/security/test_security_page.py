"""The page about security names only what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()


def test_every_test_that_proves_something_is_there() -> None:
    named = set(re.findall(r"`([\w./-]+\.py)`", PAGE))
    assert len(named) > 25
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_every_page_that_it_leads_to_is_there() -> None:
    leads = set(re.findall(r"\]\(([\w./-]+)\)", PAGE))
    assert {name for name in leads if not (ROOT / "docs" / name).is_file()} == set()


@pytest.mark.parametrize("setting", sorted(set(re.findall(r"`(LABELSTREAM_[A-Z_]+_CA)`", PAGE))))
def test_every_ca_that_can_be_set_is_read_by_the_code(setting: str) -> None:
    field = setting.rpartition("__")[2].lower()
    settings = [*ROOT.glob("libs/common/src/**/settings.py"), *ROOT.glob("services/*/src/**/settings.py")]
    assert any(re.search(rf"^    {field}: Path \| None", file.read_text(), re.MULTILINE) for file in settings)
